# Writes cox_extras.json: what R survival says after a Cox fit, on invented data with ties, late entry, weights, strata,
# a factor and patients with two spells (late_entry.csv) and on invented trial data (cox_extras.csv, drawn below).
#   Rscript tests/reference/cox_extras.R tests/reference path/to/pbc.csv
suppressMessages(library(survival))
folder <- commandArgs(trailingOnly = TRUE)[1]
num <- function(x) paste0("[", paste(ifelse(is.finite(x), formatC(x, digits = 13, format = "g"), "null"), collapse = ", "), "]")
obj <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), unlist(l)), collapse = ",\n "), "}")

# what plot.cox.zph would draw: its own lines, caught
caught <- function(zph) {
  seen <- list()
  f <- survival:::plot.cox.zph
  own <- new.env(parent = environment(f))
  own$lines <- function(x, y, ...) seen[[length(seen) + 1]] <<- cbind(x, y)
  own$points <- function(...) NULL
  own$plot <- function(...) NULL
  own$axis <- function(...) NULL
  environment(f) <- own
  f(zph)
  per <- split(seen, rep(seq_len(ncol(zph$y)), each = 3))
  list(x = num(seen[[1]][, 1]), fit = num(sapply(per, function(l) l[[1]][, 2])),
       up = num(sapply(per, function(l) l[[2]][, 2])), low = num(sapply(per, function(l) l[[3]][, 2])))
}
zph <- function(fit, transforms = c("km", "log")) {
  out <- list()
  for (how in transforms) {
    z <- cox.zph(fit, transform = how)
    drawn <- caught(z)
    o <- order(z$x, z$time, z$y[, 1])
    out[[how]] <- obj(c(list(terms = length(colnames(z$y)), time = num(z$time[o]), y = num(z$y[o, ])), drawn))
  }
  obj(out)
}
residual <- function(fit, data) {
  kinds <- c("martingale", "deviance", "score", "dfbeta", "dfbetas", "schoenfeld", "scaledsch")
  obj(setNames(lapply(kinds, function(k) num(c(residuals(fit, k)))), kinds))
}
curve <- function(fit, new, times, ...) {
  s <- summary(survfit(fit, newdata = new, ...), times = times, extend = FALSE)
  obj(list(time = num(s$time), surv = num(c(s$surv)), cumhaz = num(c(s$cumhaz)), se = num(c(s$std.err)), lower = num(c(s$lower)),
           upper = num(c(s$upper)), n_risk = num(s$n.risk)))
}

d <- read.csv(file.path(folder, "late_entry.csv"), stringsAsFactors = TRUE)
d[c("start", "stop", "dead", "w", "sex")] <- lapply(d[c("start", "stop", "dead", "w", "sex")], as.numeric)
times <- c(2, 4, 7, 9, 12)
new <- data.frame(x = c(0.5, -1), arm = c("b", "a"), sex = c(1, 0))
parts <- list(origin = sprintf('"%s, survival %s"', R.version.string, packageVersion("survival")))
for (ties in c("efron", "breslow")) {
  plain <- coxph(Surv(start, stop, dead) ~ arm + x, d, ties = ties, x = TRUE)
  weighted <- coxph(Surv(start, stop, dead) ~ arm + x, d, weights = w, ties = ties, cluster = id, x = TRUE)
  strata <- coxph(Surv(start, stop, dead) ~ x + arm + strata(sex), d, ties = ties, x = TRUE)
  fits <- list(plain = plain, weighted = weighted, strata = strata)
  for (name in names(fits)) {
    key <- function(what) paste(ties, name, what, sep = "_")
    parts[[key("residuals")]] <- residual(fits[[name]], d)
    parts[[key("zph")]] <- zph(fits[[name]])
    for (type in c("log-log", "log", "plain")) parts[[key(type)]] <-
      if (name == "strata") obj(list(first = curve(strata, new[1, ], times[2:5], conf.type = type),
                                     second = curve(strata, new[2, ], times[2:5], conf.type = type)))
      else curve(fits[[name]], new, times, conf.type = type)
  }
}

# an offset, and exact ties
d$known <- 0.3 * d$x + 0.1 * d$w
off <- coxph(Surv(start, stop, dead) ~ arm + offset(known), d, x = TRUE)
parts$offset_curve <- curve(off, data.frame(arm = c("b", "a"), known = c(0.4, -0.2)), times, conf.type = "log")
parts$offset_residuals <- residual(off, d)
centred <- basehaz(off, centered = TRUE)
parts$offset_means <- num(approx(centred$time, centred$hazard, times, method = "constant")$y)
tied <- d; tied$start <- 0
exact <- coxph(Surv(stop, dead) ~ arm + x, tied, ties = "exact", x = TRUE)
parts$exact_curve <- curve(exact, new, times, conf.type = "log")
parts$exact_martingale <- num(residuals(exact))

# a covariate that does not vary in one stratum
d$only <- ifelse(d$sex == 1, round(abs(d$x) + 0.1 * (d$w), 2), 0)
parts$still_zph <- zph(coxph(Surv(start, stop, dead) ~ x + only + strata(sex), d))

# time split
set.seed(4)
n <- 150
e <- data.frame(id = 1:n, treated = rep(0:1, length.out = n), age = round(rnorm(n, 50, 10)))
rate <- exp(-6.5 + 0.02 * (e$age - 50) - 1.1 * e$treated)
early <- rexp(n, rate); late <- 300 + rexp(n, exp(-6.5 + 0.02 * (e$age - 50) + 0.5 * e$treated))
event <- ceiling(ifelse(early < 300, early, late)); censor <- sample(200:1500, n, TRUE)
e$day <- pmin(event, censor); e$dead <- as.integer(event <= censor)
e$entry <- sample(c(0, 0, 30), n, TRUE); e$entry[e$entry >= e$day] <- 0
write.csv(e, file.path(folder, "cox_extras.csv"), row.names = FALSE, quote = FALSE)
split <- survSplit(Surv(entry, day, dead) ~ ., e, cut = c(300, 700), episode = "period")
byp <- coxph(Surv(entry, day, dead) ~ age + treated:strata(period), split)
parts$split <- obj(list(n = num(nrow(split)), rows = num(table(split$period)), events = num(tapply(split$dead, split$period, sum)),
                        coef = num(coef(byp)), vcov = num(vcov(byp)), loglik = num(byp$loglik)))
tvc <- coxph(Surv(entry, day, dead) ~ age + treated, split)
parts$split_constant <- obj(list(coef = num(coef(tvc)), loglik = num(tvc$loglik)))
pbc <- read.csv(commandArgs(trailingOnly = TRUE)[2])
p <- pbc[!is.na(pbc$protime), ]
parts$pbc_zph <- zph(coxph(Surv(time, status == 2) ~ age + edema + log(bili) + log(protime) + log(albumin), p), c("km", "rank", "identity", "log"))
# g-formula: average of predicted curves with everyone set to each level
q <- p[!is.na(p$trt), ]
g <- coxph(Surv(time, status == 2) ~ factor(trt) + age + log(bili), q)
std <- function(level, when) { q$trt <- level; rowMeans(summary(survfit(g, newdata = q, se.fit = FALSE), times = when)$surv) }
area <- function(level, horizon) {
  q$trt <- level; s <- survfit(g, newdata = q, se.fit = FALSE); m <- rowMeans(s$surv); inside <- s$time < horizon
  sum(diff(c(0, s$time[inside], horizon)) * c(1, m[inside]))
}
parts$standardised <- obj(list(one = num(std(1, c(365, 1825, 3650))), two = num(std(2, c(365, 1825, 3650))),
                               area = num(c(area(1, 3000), area(2, 3000)))))
writeLines(obj(parts), file.path(folder, "cox_extras.json"))
