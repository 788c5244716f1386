# Writes competing_risks.json: figures of R survival and cmprsk on invented data, for tests/models/survival/competing.
#   Rscript tests/reference/competing_risks.R tests/reference
# competing_risks.csv: 240 patients, whole days with many ties, two competing events and censoring that depends on the
#   centre; `start` is a late entry, `w` a fractional weight. competing_spells.csv: 150 patients followed in one to three
#   spells, entering late, with a covariate that changes; drawn below.
suppressMessages({library(survival); library(cmprsk)})
folder <- commandArgs(trailingOnly = TRUE)[1]
num <- function(x) paste0("[", paste(ifelse(is.finite(x), formatC(x, digits = 17, format = "g"), "null"), collapse = ", "), "]")
obj <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), unlist(l)), collapse = ",\n "), "}")
tight <- coxph.control(eps = 1e-11, toler.chol = 1e-13, iter.max = 50)
parts <- list(origin = sprintf('"%s, survival %s, cmprsk %s"', R.version.string, packageVersion("survival"), packageVersion("cmprsk")))

set.seed(20261123)
n <- 240
d <- data.frame(id = 1:n, x = round(rnorm(n), 2), z = rbinom(n, 1, 0.4), g = sample(c("a", "b", "c"), n, TRUE), centre = sample(1:2, n, TRUE))
days <- function(rate) ceiling(rexp(n, rate))
first <- days(0.05 * exp(0.5 * d$x - 0.4 * d$z)); second <- days(0.04 * exp(-0.3 * d$x + 0.5 * d$z))
free <- days(ifelse(d$centre == 1, 0.02, 0.06)); free <- pmin(free, 25)
d$time <- pmin(first, second, free)
d$status <- ifelse(free < pmin(first, second), "censored", ifelse(first <= second, "relapse", "death"))
d$start <- pmax(0, pmin(d$time - 1, sample(c(0, 0, 1:9), n, TRUE)))
d$w <- sample(c(0.5, 1, 1.5, 2.25), n, TRUE)
write.csv(d, file.path(folder, "competing_risks.csv"), row.names = FALSE, quote = FALSE)
d$status <- factor(d$status, c("censored", "relapse", "death"))
new <- cbind(c(-1, 0.5), c(0, 1)); times <- c(2, 5, 10, 20)

crr_figures <- function(cause, ...) {
  fit <- crr(d$time, as.integer(d$status) - 1, as.matrix(d[, c("x", "z")]), failcode = cause, gtol = 1e-12, maxiter = 50, ...)
  curve <- predict(fit, new)
  at <- sapply(times, function(t) { k <- sum(curve[, 1] <= t); if (k) curve[k, -1] else rep(0, 2) })
  obj(list(coef = num(fit$coef), vcov = num(fit$var), vcov_model = num(fit$invinf), loglik = num(c(fit$loglik.null, fit$loglik)), cif = num(at)))
}
parts$crr_relapse <- crr_figures(1); parts$crr_death <- crr_figures(2)
parts$crr_relapse_by_centre <- crr_figures(1, cengroup = d$centre)
parts$crr_death_by_centre <- crr_figures(2, cengroup = d$centre)

cox <- function(fit) obj(list(coef = num(coef(fit)), vcov = num(fit$var), vcov_model = num(fit$naive.var), loglik = num(fit$loglik)))
fine_gray <- function(surv, data, weights, terms) {
  for (cause in c("relapse", "death")) for (ties in c("breslow", "efron")) {
    data$.w <- weights
    long <- finegray(surv, data, weights = .w, etype = cause, id = id)
    fit <- coxph(terms, long, weights = fgwt, cluster = id, ties = ties, control = tight)
    parts[[paste("finegray", name, cause, ties, sep = "_")]] <<- cox(fit)
  }
}
both <- Surv(fgstart, fgstop, fgstatus) ~ x + z
name <- "plain"; fine_gray(Surv(time, status) ~ ., d, rep(1, n), both)
name <- "weighted"; fine_gray(Surv(time, status) ~ ., d, d$w, both)
name <- "late"; fine_gray(Surv(start, time, status) ~ ., d, rep(1, n), both)
name <- "late_weighted"; fine_gray(Surv(start, time, status) ~ ., d, d$w, both)

k <- 150
p <- data.frame(id = sample(1:k), z = rbinom(k, 1, 0.5), entry = sample(0:6, k, TRUE), spells = sample(1:3, k, TRUE))
s <- do.call(rbind, lapply(1:k, function(i) {
  stop <- p$entry[i] + cumsum(sample(1:7, p$spells[i], TRUE))
  last <- sample(c("censored", "relapse", "death"), 1, prob = c(0.3, 0.4, 0.3))
  data.frame(id = p$id[i], start = c(p$entry[i], stop[-length(stop)]), time = stop, status = c(rep("censored", p$spells[i] - 1), last),
             x = round(rnorm(p$spells[i]), 1), z = p$z[i])
}))
s <- s[sample(nrow(s)), ]
write.csv(s, file.path(folder, "competing_spells.csv"), row.names = FALSE, quote = FALSE)
s$status <- factor(s$status, c("censored", "relapse", "death"))
name <- "spells"; fine_gray(Surv(start, time, status) ~ ., s, rep(1, nrow(s)), both)

gray <- function(...) { t <- cuminc(d$time, d$status, cencode = "censored", ...)$Tests[c("relapse", "death"), ]
  obj(list(chisq = num(t[, "stat"]), p = num(t[, "pv"]), df = num(t[, "df"]))) }
parts$gray_g <- gray(group = d$g); parts$gray_z <- gray(group = d$z); parts$gray_g_rho <- gray(group = d$g, rho = 1)
parts$gray_g_strata <- gray(group = d$g, strata = d$centre); parts$gray_z_strata_rho <- gray(group = d$z, strata = d$g, rho = -0.5)
early <- d$g == "a" & d$time > 6  # a group that leaves long before the others
kept <- d[!early, ]
t <- cuminc(kept$time, kept$status, kept$g, cencode = "censored")$Tests[c("relapse", "death"), ]
parts$gray_short_group <- obj(list(chisq = num(t[, "stat"]), p = num(t[, "pv"]), df = num(t[, "df"])))
writeLines(obj(parts), file.path(folder, "competing_risks.json"))
