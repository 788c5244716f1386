# Writes curves.csv and curves.json: figures of R survival for weighted and clustered curves, all interval types, tests
# for trend and of pairs, pseudo-values by leaving each patient out in turn, and regressions on them.
#   Rscript tests/reference/curves.R tests/reference
# The data are invented: 90 rows with ties, late entry, whole and fractional weights, three rows for some clusters.
suppressMessages(library(survival))
folder <- commandArgs(trailingOnly = TRUE)[1]
num <- function(x) paste0("[", paste(ifelse(is.finite(x), formatC(x, digits = 17, format = "g"), "null"), collapse = ", "), "]")
obj <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), unlist(l)), collapse = ",\n "), "}")

set.seed(20261123)
n <- 90
d <- data.frame(cluster = sample(1:40, n, TRUE), arm = sample(c("a", "b", "c"), n, TRUE, c(.4, .3, .3)), x = round(rnorm(n), 1),
                sex = sample(c("f", "m"), n, TRUE), whole = sample(1:3, n, TRUE), part = round(runif(n, 0.2, 3), 2))
d$start <- sample(0:6, n, TRUE); d$stop <- d$start + sample(1:14, n, TRUE)
d$dead <- rbinom(n, 1, plogis(0.4 * (d$arm == "c") + 0.3 * d$x))
d$cause <- ifelse(d$dead == 1, ifelse(runif(n) < .6, "liver", "other"), "censored")
write.csv(d, file.path(folder, "curves.csv"), row.names = FALSE, quote = FALSE)
times <- c(1, 2, 3, 5, 8, 11, 13)
curve <- function(fit) {
  s <- summary(fit, times = times, extend = FALSE); q <- quantile(fit)
  obj(list(time = num(s$time), n_risk = num(s$n.risk), surv = num(s$surv), se = num(s$std.err), cumhaz = num(s$cumhaz),
           se_cumhaz = num(s$std.chaz), lower = num(s$lower), upper = num(s$upper), q = num(q$quantile), q_lower = num(q$lower),
           q_upper = num(q$upper)))
}
parts <- list(origin = sprintf('"%s, survival %s"', R.version.string, packageVersion("survival")))
late <- with(d, Surv(start, stop, dead)); right <- with(d, Surv(stop, dead))
for (type in c("log-log", "log", "plain", "arcsin", "logit")) {
  parts[[paste0("greenwood_", type)]] <- curve(survfit(right ~ 1, conf.type = type))
  parts[[paste0("late_", type)]] <- curve(survfit(late ~ 1, conf.type = type))
  parts[[paste0("part_", type)]] <- curve(survfit(right ~ 1, weights = d$part, conf.type = type, robust = TRUE))
  parts[[paste0("part_late_cluster_", type)]] <- curve(survfit(late ~ 1, weights = d$part, cluster = d$cluster, conf.type = type))
}
parts$part_greenwood <- curve(survfit(right ~ 1, weights = d$part, robust = FALSE, conf.type = "log-log"))
parts$part_cluster <- curve(survfit(right ~ 1, weights = d$part, cluster = d$cluster, conf.type = "log-log"))
parts$whole_cluster <- curve(survfit(right ~ 1, weights = d$whole, cluster = d$cluster, conf.type = "log-log"))
parts$plain_cluster <- curve(survfit(right ~ 1, cluster = d$cluster, conf.type = "log-log"))
parts$late_cluster <- curve(survfit(late ~ 1, cluster = d$cluster, conf.type = "log-log"))
parts$follow_up <- curve(survfit(Surv(d$stop, 1 - d$dead) ~ 1, conf.type = "log-log"))

# Trend across arms and pairs of arms
trend <- function(test, scores) { c(sum(scores * (test$obs - test$exp))^2 / drop(t(scores) %*% test$var %*% scores)) }
overall <- survdiff(right ~ arm, d)
parts$trend <- num(c(trend(overall, 1:3), trend(overall, c(0, 1, 5)), trend(survdiff(right ~ arm, d, rho = 1), 1:3)))
pairs <- apply(combn(c("a", "b", "c"), 2), 2, function(p) {
  survdiff(Surv(stop, dead) ~ arm, d[d$arm %in% p, ])$chisq })
parts$pairs <- obj(list(chisq = num(pairs), holm = num(p.adjust(pchisq(pairs, 1, lower.tail = FALSE), "holm"))))

# Pseudo-values, each patient left out in turn
at <- c(3, 7, 12)
survival <- function(rows) summary(survfit(Surv(stop, dead) ~ 1, d[rows, ]), times = at, extend = TRUE)$surv
mean_to <- function(rows) sapply(at, function(tau) survival:::survmean(survfit(Surv(stop, dead) ~ 1, d[rows, ]), rmean = tau)$matrix["rmean"])
state <- factor(d$cause, c("censored", "liver", "other"))
incidence <- function(rows) summary(survfit(Surv(d$stop[rows], state[rows]) ~ 1), times = at, extend = TRUE)$pstate[, 2]
leave_out <- function(what) n * matrix(what(1:n), n, 3, byrow = TRUE) - (n - 1) * t(sapply(1:n, function(i) what(setdiff(1:n, i))))
values <- list(survival = leave_out(survival), restricted_mean = leave_out(mean_to), incidence = leave_out(incidence))
for (name in names(values)) parts[[paste0("pseudo_", name)]] <- num(c(values[[name]]))

# Regressions on them: least squares or quasi-likelihood with constant variance, sandwich by patient
sandwich <- function(fit, id) {
  X <- model.matrix(fit); slope <- fit$family$mu.eta(fit$linear.predictors); bread <- solve(crossprod(X * slope))
  score <- rowsum(X * slope * (fit$y - fit$fitted.values), id)
  sqrt(diag(bread %*% crossprod(score) %*% bread))
}
regress <- function(y, link, at_times) {
  long <- data.frame(y = c(y[, at_times]), id = rep(1:n, length(at_times)), when = factor(rep(at_times, each = n)), d[rep(1:n, length(at_times)), c("arm", "x")])
  f <- if (length(at_times) > 1) y ~ 0 + when + arm + x else y ~ arm + x
  p <- length(at_times) + 3
  fit <- if (link == "identity") glm(f, gaussian, long) else
    glm(f, quasi(link = "cloglog", variance = "constant"), long, start = c(rep(-0.5, length(at_times)), rep(0, 3)),
        control = glm.control(epsilon = 1e-14, maxit = 200))
  obj(list(coef = num(coef(fit)), se = num(sandwich(fit, long$id))))
}
parts$risk_identity <- regress(1 - values$survival, "identity", 2)
parts$risk_cloglog <- regress(1 - values$survival, "cloglog", 2)
parts$risk_cloglog_all_times <- regress(1 - values$survival, "cloglog", 1:3)
parts$mean_identity <- regress(values$restricted_mean, "identity", 3)
parts$incidence_cloglog <- regress(values$incidence, "cloglog", 2)
writeLines(obj(parts), file.path(folder, "curves.json"))
