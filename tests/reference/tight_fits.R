# Writes tight_fits.json: two fits to pbcseq with tight tolerances, because those of the reference folder stopped 2e-7
# (lme_albumin_REML) and 2e-8 (lme_AR1_visit) below the maximum of the log-likelihood.
#   Rscript tests/reference/tight_fits.R tests/reference ../shared/reference/data/pbcseq.csv
suppressMessages({library(lme4); library(nlme)})
arguments <- commandArgs(trailingOnly = TRUE)
num <- function(x) paste0("[", paste(formatC(x, digits = 17, format = "g"), collapse = ", "), "]")
d <- read.csv(arguments[2])
d <- d[order(d$id, d$day), ]
d$ty <- d$day / 365.25
d$dpca <- as.numeric(d$trt == 1)
albumin <- lmer(albumin ~ ty * dpca + (ty | id), d, control = lmerControl(optimizer = "bobyqa",
                optCtrl = list(rhoend = 1e-12, maxfun = 1e6)))
ar1 <- lme(log(bili) ~ ty * dpca, d, ~ 1 | id, correlation = corAR1(form = ~ 1 | id),
           control = lmeControl(opt = "nlminb", tolerance = 1e-14, msTol = 1e-14, niterEM = 0, msMaxIter = 2000,
                                maxIter = 1000, msMaxEval = 5000, returnObject = TRUE))
writeLines(sprintf('{"origin": "R %s, lme4 %s, nlme %s",\n "albumin": {"beta": %s,\n "loglik": %s,\n "variances": %s},\n "ar1": {"beta": %s,\n "loglik": %s,\n "variances": %s}}',
  getRversion(), packageVersion("lme4"), packageVersion("nlme"), num(fixef(albumin)), num(logLik(albumin)),
  num(as.data.frame(VarCorr(albumin), order = "lower.tri")$vcov), num(fixef(ar1)), num(logLik(ar1)),
  num(c(getVarCov(ar1), ar1$sigma^2, coef(ar1$modelStruct$corStruct, unconstrained = FALSE)))),
  file.path(arguments[1], "tight_fits.json"))
