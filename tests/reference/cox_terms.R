# Writes cox_terms.csv and cox_terms.json: Cox models of R survival with formulas, offsets, ridge penalties and exact
# ties, on 150 invented spells with ties, late entry, clusters, names, a dotted column and missing values.
#   Rscript tests/reference/cox_terms.R tests/reference
suppressMessages({library(survival); library(splines)})
folder <- commandArgs(trailingOnly = TRUE)[1]
num <- function(x) paste0("[", paste(ifelse(is.finite(x), formatC(x, digits = 17, format = "g"), "null"), collapse = ", "), "]")
obj <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), unlist(l)), collapse = ",\n "), "}")

set.seed(20261123)
n <- 150
d <- data.frame(id = rep(1:75, each = 2), x = round(rnorm(n), 2), bili = round(exp(rnorm(n)), 2),
                alk.phos = round(runif(n, 50, 900)), arm = sample(c("a", "b", "c"), n, TRUE),
                sex = sample(c("f", "m"), n, TRUE), stage = sample(1:4, n, TRUE), w = sample(1:3, n, TRUE))
d$start <- rep(sample(0:6, 75, TRUE), each = 2)
second <- rep(c(FALSE, TRUE), 75)
d$stop <- d$start + sample(1:10, n, TRUE)
d$start[second] <- d$stop[!second]; d$stop[second] <- d$start[second] + sample(1:12, 75, TRUE)
d$dead <- 0; d$dead[second] <- rbinom(75, 1, plogis(0.8 + 0.6 * d$x[second]))
d$known <- round(0.3 * d$x + rnorm(n, 0, 0.4), 2)
d$gap <- d$x; d$gap[c(3, 20, 77, 141)] <- NA
write.csv(d, file.path(folder, "cox_terms.csv"), row.names = FALSE, quote = FALSE, na = "")
y <- with(d, Surv(start, stop, dead))

fit <- function(model) {
  df <- if (is.null(model$df)) length(coef(model)) else sum(model$df)
  obj(list(coef = num(coef(model)), vcov = num(model$var), n = model$n, n_event = model$nevent,
           vcov_model = num(if (is.null(model$naive.var)) model$var else model$naive.var), loglik = num(model$loglik),
           score = num(if (is.null(model$score)) NA else model$score), wald = num(model$wald.test),
           df = num(df), aic = num(2 * df - 2 * model$loglik[2]),
           concordance = num(if (is.null(model$concordance)) rep(NA, 7) else model$concordance[1:7])))
}
tight <- coxph.control(eps = 1e-10, toler.chol = 1e-12, iter.max = 60)
parts <- list(origin = sprintf('"%s, survival %s"', R.version.string, packageVersion("survival")))
model <- function(formula, ...) {
  call <- as.call(c(list(as.name("coxph"), substitute(formula), as.name("d"), control = as.name("tight")), as.list(substitute(list(...)))[-1]))
  fit(eval(call, globalenv()))
}
# formulas
parts$numbers <- model(y ~ x * log(bili) + I(x^2))
parts$categories <- model(y ~ arm * sex + x)
parts$category_by_number <- model(y ~ arm * x)
parts$slopes_by_category <- model(y ~ arm + arm:x)
parts$reference <- model(y ~ relevel(factor(stage), "3") + log2(bili))
parts$arithmetic <- model(y ~ I(x / bili) + log10(alk.phos) + exp(x) + sqrt(alk.phos))
parts$power <- model(y ~ (x + arm + log(bili))^2 - arm:log(bili))
parts$dotted <- model(y ~ alk.phos + log(alk.phos))
parts$spline <- model(y ~ ns(x, df = 4) + arm)
parts$spline_by_number <- model(y ~ ns(log(bili), df = 2) * x)
parts$spline_with_missing <- model(y ~ ns(bili, df = 3) + gap)  # knots from every row, the incomplete ones too
parts$spline_straight <- model(y ~ ns(x, df = 1))
basis <- ns(d$x, df = 4)
parts$basis <- num(t(basis)); parts$basis_beyond <- num(t(predict(basis, c(-9, -3, 0, 4, 11))))
# offset
parts$offset <- model(y ~ x + log(bili) + offset(known))
parts$offset_strata_breslow <- model(y ~ x + strata(sex) + offset(log(bili)), ties = "breslow")
parts$offset_cluster <- model(y ~ x + arm + offset(known), weights = w, cluster = id)
# ridge
parts$ridge_raw <- model(y ~ ridge(x, log(bili), known, theta = 2, scale = FALSE))
parts$ridge_standardised <- model(y ~ ridge(x, log(bili), known, theta = 2, scale = TRUE))
parts$ridge_cluster <- model(y ~ ridge(x, log(bili), theta = 5, scale = FALSE) + cluster(id))
# exact ties: late entry, strata, a day on which many die, an offset
parts$exact <- model(y ~ x + arm + log(bili), ties = "exact")
parts$exact_strata <- model(y ~ x + log(bili) + strata(sex), ties = "exact")
d$week <- ceiling(d$stop / 7)
parts$exact_coarse <- fit(coxph(Surv(week, dead) ~ x + arm, d, control = tight, ties = "exact"))
parts$exact_offset <- fit(coxph(Surv(week, dead) ~ x + offset(known), d, control = tight, ties = "exact"))
writeLines(obj(parts), file.path(folder, "cox_terms.json"))
