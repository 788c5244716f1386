# Writes intervals.csv and intervals.json: figures of R survival (survreg, survfit) for exact, left-, right- and
# interval-censored times, all mixed, with whole and fractional weights.
#   Rscript tests/reference/intervals.R tests/reference
# The data are invented: 140 patients, looks every 2 to 6 months, some times known to the day.
suppressMessages(library(survival))
folder <- commandArgs(trailingOnly = TRUE)[1]
num <- function(x) paste0("[", paste(ifelse(is.finite(x), formatC(x, digits = 17, format = "g"), "null"), collapse = ", "), "]")
obj <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), unlist(l)), collapse = ",\n "), "}")

set.seed(20261124)
n <- 140
d <- data.frame(arm = sample(c("a", "b", "c"), n, TRUE, c(.5, .3, .2)), x = round(rnorm(n), 1), whole = sample(1:3, n, TRUE),
                part = round(runif(n, 0.3, 2.5), 2))
true <- ceiling(rweibull(n, 1.4, 20 * exp(0.4 * (d$arm == "b") - 0.3 * d$x)))
look <- sample(2:6, n, TRUE); last <- sample(6:40, n, TRUE); known <- runif(n) < .25
d$left <- pmin(floor((true - 1) / look) * look, floor(last / look) * look)
d$right <- ifelse(d$left + look <= last & true <= d$left + look, d$left + look, NA)
d$left[known & true <= last] <- d$right[known & true <= last] <- true[known & true <= last]
d <- d[!(d$left == 0 & is.na(d$right)), ]
write.csv(d, file.path(folder, "intervals.csv"), row.names = FALSE, quote = FALSE, na = "")
time <- with(d, Surv(ifelse(left == 0, NA, left), right, type = "interval2"))
tight <- survreg.control(rel.tolerance = 1e-14, maxiter = 200)
new <- data.frame(arm = c("a", "b", "c"), x = c(0, 1, -0.5))
figures <- function(fit) {
  q <- predict(fit, new, type = "quantile", p = c(.1, .5, .9), se.fit = TRUE)
  naive <- if (is.null(fit$naive.var)) fit$var else fit$naive.var
  obj(list(coef = num(c(coef(fit), if (fit$scale != 1) log(fit$scale))), se = num(sqrt(diag(fit$var))), 
           se_model = num(sqrt(diag(naive))), loglik = num(fit$loglik), aic = num(AIC(fit)), quantile = num(q$fit),
           quantile_se = num(q$se.fit)))
}
parts <- list(origin = sprintf('"%s, survival %s"', R.version.string, packageVersion("survival")))
for (dist in c("weibull", "lognormal", "loglogistic", "exponential")) {
  parts[[dist]] <- figures(survreg(time ~ arm + x, d, dist = dist, control = tight))
  parts[[paste0(dist, "_whole")]] <- figures(survreg(time ~ arm + x, d, dist = dist, weights = whole, control = tight))
  # survreg(robust = TRUE) leaves the weights out of the residuals it squares; here they are in, as in coxph. Its
  # residuals of interval-censored rows do not add up to 0 (their derivative in the scale), so these rows are left out.
  fit <- survreg(time ~ arm + x, d, dist = dist, weights = part, subset = is.na(right) | left == right | left == 0,
                 control = tight)
  fit$naive.var <- fit$var
  fit$var <- crossprod(residuals(fit, "dfbeta", weighted = TRUE))
  parts[[paste0(dist, "_robust")]] <- figures(fit)
}
spells <- read.csv(file.path(folder, "late_entry.csv"))
parts$spells <- figures(survreg(Surv(stop, dead) ~ arm + x, spells, dist = "weibull", robust = TRUE, cluster = id, control = tight))
curve <- summary(survfit(time ~ 1, d, weights = whole), times = c(1, 5, 9, 13, 17, 21, 25, 30), extend = TRUE)
parts$turnbull <- obj(list(time = num(curve$time), surv = num(curve$surv)))
writeLines(obj(parts), file.path(folder, "intervals.json"))
