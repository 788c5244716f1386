# Writes random_effects.csv and random_effects.json: mixed models of lme4, lmerTest, pbkrtest and nlme on 48 invented
# patients of 8 centres with 3 to 8 visits, unequal residual variances by group and visit, and weights (two minutes).
#   Rscript tests/reference/random_effects.R tests/reference
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(nlme); library(splines)})
folder <- commandArgs(trailingOnly = TRUE)[1]
num <- function(x) paste0("[", paste(ifelse(is.finite(x), formatC(x, digits = 17, format = "g"), "null"), collapse = ", "), "]")
obj <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), unlist(l)), collapse = ",\n "), "}")

set.seed(20261123)
m <- 48
visits <- sample(3:8, m, TRUE)
d <- data.frame(centre = rep(rep(1:8, length.out = m), visits), patient = rep(1:m, visits),
                visit = unlist(lapply(visits, seq_len)))
d$arm <- ifelse(d$patient %% 2 == 0, "b", "a")
d$years <- round((d$visit - 1) * 0.5 + runif(nrow(d), -0.12, 0.12) * (d$visit > 1), 3)
d$w <- sample(c(0.5, 1, 2, 4), nrow(d), TRUE)
serial <- unlist(lapply(split(d$years, d$patient), function(t)
  as.vector(t(chol(0.09 * exp(-abs(outer(t, t, "-")) / 0.8))) %*% rnorm(length(t)))))
d$y <- round(2 + 0.25 * d$years + 0.4 * (d$arm == "b") - 0.1 * d$years * (d$arm == "b") + rnorm(8, 0, 0.35)[d$centre] +
             rnorm(m, 0, 0.5)[d$patient] + (rnorm(m, 0, 0.2)[d$patient]) * d$years + serial +
             rnorm(nrow(d), 0, ifelse(d$arm == "b", 0.35, 0.2) * (1 + 0.08 * d$visit) / sqrt(d$w)), 4)
d <- d[order(d$patient, d$years), ]
d$noise <- round(2 + rnorm(nrow(d)) - 0.3 * (d$visit == 1), 4)  # nothing between patients
write.csv(d, file.path(folder, "random_effects.csv"), row.names = FALSE, quote = FALSE)
d$centre <- factor(d$centre); d$patient <- factor(d$patient); d$visits <- factor(pmin(d$visit, 3))

of_lmer <- function(formula, reml = TRUE, degrees = FALSE, effects = FALSE, by = rep(1, nrow(d))) {
  d$by <- by
  fit <- lmerTest::lmer(formula, d, REML = reml, control = lmerControl(optimizer = "bobyqa",
    optCtrl = list(rhoend = 1e-10, maxfun = 1e5), calc.derivs = TRUE, check.conv.singular = "ignore"), weights = by)
  v <- as.data.frame(VarCorr(fit), order = "lower.tri")
  out <- list(beta = num(fixef(fit)), vcov = num(as.matrix(vcov(fit))), loglik = num(as.numeric(logLik(fit))),
              aic = num(AIC(fit)), bic = num(BIC(fit)), variances = num(v$vcov), sigma = num(sigma(fit)))
  if (degrees) {
    out$satterthwaite <- num(coef(summary(fit, ddf = "Satterthwaite"))[, "df"])
    out$kr_df <- num(coef(summary(fit, ddf = "Kenward-Roger"))[, "df"])
    out$kr_vcov <- num(as.matrix(vcovAdj(fit)))
  }
  if (effects) for (name in names(ranef(fit))) {
    b <- ranef(fit, condVar = TRUE)[[name]]
    out[[paste0("blup_", sub(":.*", "", name))]] <- num(as.vector(t(as.matrix(b))))
    out[[paste0("condvar_", sub(":.*", "", name))]] <- num(as.vector(attr(b, "postVar")))
    out[[paste0("of_", sub(":.*", "", name))]] <- num(as.integer(sub(":.*", "", rownames(b))))
  }
  obj(out)
}
tight <- lmeControl(opt = "optim", msMaxIter = 1000, maxIter = 500, tolerance = 1e-12, msTol = 1e-12, returnObject = TRUE,
                    optimMethod = "BFGS", natural = TRUE)
of_lme <- function(fixed, random, reml = TRUE, ...) {
  fit <- lme(fixed, d, random, method = if (reml) "REML" else "ML", control = tight, ...)
  s <- fit$modelStruct
  out <- list(beta = num(fixef(fit)), vcov = num(vcov(fit)), loglik = num(as.numeric(logLik(fit))), sigma = num(fit$sigma),
              random = num(as.vector(as.matrix(getVarCov(fit)))))
  if (!is.null(s$corStruct)) out$serial <- num(coef(s$corStruct, unconstrained = FALSE))
  if (!is.null(s$varStruct)) out$ratios <- num(coef(s$varStruct, unconstrained = FALSE))
  obj(out)
}
of_gls <- function(fixed, reml = TRUE, ...) {
  fit <- gls(fixed, d, method = if (reml) "REML" else "ML", control = glsControl(opt = "optim", msMaxIter = 1000,
             tolerance = 1e-12, msTol = 1e-12), ...)
  out <- list(beta = num(coef(fit)), vcov = num(vcov(fit)), loglik = num(as.numeric(logLik(fit))), sigma = num(fit$sigma))
  s <- fit$modelStruct
  if (!is.null(s$corStruct)) out$serial <- num(coef(s$corStruct, unconstrained = FALSE))
  if (!is.null(s$varStruct)) out$ratios <- num(coef(s$varStruct, unconstrained = FALSE))
  obj(out)
}
of_profile <- function(formula) {
  fit <- lme4::lmer(formula, d, REML = FALSE, control = lmerControl(optimizer = "bobyqa",
    optCtrl = list(rhoend = 1e-10, maxfun = 1e5), check.conv.singular = "ignore"))
  limits <- suppressWarnings(confint(profile(fit, signames = FALSE, maxpts = 400, delta = 0.05), signames = FALSE))
  obj(list(low = num(limits[, 1]), high = num(limits[, 2]),
           names = paste0('["', paste(rownames(limits), collapse = '", "'), '"]')))
}
f <- y ~ years * arm
results <- list(
  nested = of_lmer(y ~ years * arm + (1 | centre/patient), degrees = TRUE, effects = TRUE),
  nested_ml = of_lmer(y ~ years * arm + (1 | centre/patient), reml = FALSE),
  nested_slope = of_lmer(y ~ years * arm + (1 | centre) + (years | patient), degrees = TRUE),
  slope = of_lmer(y ~ years * arm + (years | patient), degrees = TRUE, effects = TRUE),
  slope_ml = of_lmer(y ~ years * arm + (years | patient), reml = FALSE, degrees = FALSE),
  diagonal = of_lmer(y ~ years * arm + (years || patient), degrees = TRUE),
  spline = of_lmer(y ~ years * arm + (ns(years, df = 2) | patient), degrees = TRUE),
  weighted = of_lmer(y ~ years * arm + (years | patient), degrees = TRUE, by = d$w),
  weighted_lme = of_lme(f, ~ years | patient, weights = varFixed(~ I(1 / w))),
  by_group = of_lme(f, ~ 1 | patient, weights = varIdent(form = ~ 1 | arm)),
  by_visit = of_lme(f, ~ years | patient, weights = varIdent(form = ~ 1 | visits)),
  by_group_ar1 = of_lme(f, ~ 1 | patient, weights = varIdent(form = ~ 1 | arm), correlation = corAR1(form = ~ 1 | patient)),
  by_group_exponential_ml = of_lme(f, ~ 1 | patient, reml = FALSE, weights = varIdent(form = ~ 1 | arm),
                                   correlation = corExp(form = ~ years | patient)),
  nugget = of_lme(f, ~ 1 | patient, correlation = corExp(c(0.8, 0.3), form = ~ years | patient, nugget = TRUE)),
  nugget_gls = of_gls(f, correlation = corExp(c(0.8, 0.3), form = ~ years | patient, nugget = TRUE)),
  ar1_gls = of_gls(f, correlation = corAR1(form = ~ 1 | patient), reml = FALSE),
  by_group_gls = of_gls(f, weights = varIdent(form = ~ 1 | arm)),
  profile_slope = of_profile(y ~ years * arm + (years | patient)),
  profile_nested = of_profile(y ~ years * arm + (1 | centre/patient)),
  profile_noise = of_profile(noise ~ years * arm + (1 | patient)),
  noise = of_lmer(noise ~ years * arm + (1 | patient), reml = FALSE)
)
origin <- sprintf("R %s, lme4 %s, lmerTest %s, pbkrtest %s, nlme %s", getRversion(), packageVersion("lme4"),
                  packageVersion("lmerTest"), packageVersion("pbkrtest"), packageVersion("nlme"))
writeLines(paste0('{"origin": "', origin, '",\n "results": ', obj(results), "}"), file.path(folder, "random_effects.json"))
