# Writes royal_free.json and late_entry.json: figures of R survival, the second opinion of tests/models/survival.
#   Rscript tests/reference/survival.R tests/reference
# royal_free: trial of prednisolone in chronic active hepatitis, 44 patients, months (Kirk, Gut 1980;21:78;
#   Altman & Bland, BMJ 1998;317:468). late_entry: 60 invented spells with ties, late entry, weights and two spells for
#   some patients (late_entry.csv, drawn below).
suppressMessages(library(survival))
folder <- commandArgs(trailingOnly = TRUE)[1]
num <- function(x) paste0("[", paste(ifelse(is.finite(x), formatC(x, digits = 17, format = "g"), "null"), collapse = ", "), "]")
obj <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), unlist(l)), collapse = ",\n "), "}")
origin <- function() sprintf('"%s, survival %s"', R.version.string, packageVersion("survival"))

curve <- function(fit, times) {
  s <- summary(fit, times = times, extend = FALSE)
  obj(list(time = num(s$time), n_risk = num(s$n.risk), surv = num(s$surv), se = num(s$std.err), cumhaz = num(s$cumhaz),
           se_cumhaz = num(s$std.chaz), lower = num(s$lower), upper = num(s$upper)))
}
quantiles <- function(fit) { q <- quantile(fit); obj(list(est = num(q$quantile), lower = num(q$lower), upper = num(q$upper))) }
cox <- function(fit) {
  c <- fit$concordance
  z <- lapply(c("km", "rank", "identity", "log"), function(how) num(cox.zph(fit, transform = how)$table[, "chisq"]))
  s <- summary(fit)
  obj(list(coef = num(coef(fit)), vcov = num(fit$var), vcov_model = num(if (is.null(fit$naive.var)) fit$var else fit$naive.var),
           loglik = num(fit$loglik), score = num(fit$score), wald = num(fit$wald.test), concordance = num(c[1:7]),
           zph_km = z[[1]], zph_rank = z[[2]], zph_identity = z[[3]], zph_log = z[[4]]))
}

time <- c(2, 6, 12, 54, 56, 68, 89, 96, 96, 125, 128, 131, 140, 141, 143, 145, 146, 148, 162, 168, 173, 181,
          2, 3, 4, 7, 10, 22, 28, 29, 32, 37, 40, 41, 54, 61, 63, 71, 127, 140, 146, 158, 167, 182)
dead <- c(1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0,
          1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0)
drug <- rep(1:0, each = 22)
parts <- list(origin = origin())
for (arm in 0:1) for (type in c("log-log", "log", "plain")) {
  fit <- survfit(Surv(time, dead) ~ 1, subset = drug == arm, conf.type = type)
  parts[[paste0("curve_", arm, "_", type)]] <- curve(fit, c(1, 40, 54, 96, 100, 144, 146, 180))
  parts[[paste0("quantiles_", arm, "_", type)]] <- quantiles(fit)
}
rmst <- summary(survfit(Surv(time, dead) ~ drug), rmean = 144)$table
parts$rmst <- num(rmst[, "rmean"]); parts$rmst_se <- num(rmst[, "se(rmean)"])
test <- survdiff(Surv(time, dead) ~ drug)
parts$logrank <- obj(list(observed = num(test$obs), expected = num(test$exp), var = num(test$var), chisq = num(test$chisq)))
peto <- survdiff(Surv(time, dead) ~ drug, rho = 1)
parts$peto <- obj(list(observed = num(peto$obs), expected = num(peto$exp), chisq = num(peto$chisq)))
parts$efron <- cox(coxph(Surv(time, dead) ~ drug)); parts$breslow <- cox(coxph(Surv(time, dead) ~ drug, ties = "breslow"))
writeLines(obj(parts), file.path(folder, "royal_free.json"))

set.seed(20261122)
n <- 60
d <- data.frame(id = c(1:45, 1:15), x = round(rnorm(n), 1), arm = sample(c("a", "b", "c"), n, TRUE), sex = sample(0:1, n, TRUE),
                w = as.numeric(sample(1:3, n, TRUE)))
d$start <- c(sample(0:8, 45, TRUE), rep(NA, 15)); d$stop <- d$start + sample(1:12, n, TRUE)
d$dead <- rbinom(n, 1, 0.55); again <- 46:60; d$dead[1:15] <- 0
d$start[again] <- d$stop[1:15]; d$stop[again] <- d$start[again] + sample(1:9, 15, TRUE)
write.csv(d, file.path(folder, "late_entry.csv"), row.names = FALSE, quote = FALSE)
y <- with(d, Surv(start, stop, dead))
parts <- list(origin = origin())
for (g in c("a", "b", "c")) for (type in c("log-log", "log", "plain")) {
  fit <- survfit(Surv(start, stop, dead) ~ 1, d, subset = arm == g, conf.type = type, id = id)
  parts[[paste0("curve_", g, "_", type)]] <- curve(fit, c(1, 3, 5, 8, 11, 14))
  parts[[paste0("quantiles_", g, "_", type)]] <- quantiles(fit)
}
parts$weighted <- curve(survfit(Surv(stop, dead) ~ 1, d, weights = w, conf.type = "log"), c(2, 5, 9, 13))
for (ties in c("efron", "breslow")) {
  parts[[ties]] <- cox(coxph(y ~ arm + x, d, ties = ties))
  parts[[paste0(ties, "_weighted")]] <- cox(coxph(y ~ arm + x, d, ties = ties, weights = w, cluster = id))
  parts[[paste0(ties, "_strata")]] <- cox(coxph(y ~ x + arm + strata(sex), d, ties = ties))
}
writeLines(obj(parts), file.path(folder, "late_entry.json"))
