# Figures for estimating equations, the logistic model with a random intercept, and the diagnostics of a mixed model,
# on invented data: 40 patients with 1 to 8 values at uneven times.
#   Rscript tests/reference/longitudinal_checks.R tests/reference
suppressMessages({library(geepack); library(lme4); library(nlme); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
set.seed(5071)
n <- 40
d <- do.call(rbind, lapply(seq_len(n), function(i) {
  m <- sample(1:8, 1)
  years <- sort(round(runif(m, 0, 5), 2))
  b <- rnorm(2, 0, c(1, 0.3))
  arm <- i %% 2
  eta <- 0.4 + 0.5 * arm - 0.3 * years * arm + b[1] + b[2] * years
  data.frame(id = i, years = years, arm = arm, w = round(runif(m, 0.5, 2), 2),
             value = round(eta + rnorm(m, 0, 0.5), 3), ill = rbinom(m, 1, plogis(1.5 * eta)))
}))
write.csv(d, file.path(folder, "longitudinal_checks.csv"), row.names = FALSE)

tight <- geese.control(epsilon = 1e-13, maxit = 500)
gee <- function(formula, family, corstr, weights) {
  d$ww <- weights
  fit <- geeglm(formula, id = id, data = d, family = family, corstr = corstr, weights = ww, control = tight)
  list(coef = unname(coef(fit)), robust_se = unname(sqrt(diag(fit$geese$vbeta))),
       naive_se = unname(sqrt(diag(fit$geese$vbeta.naiv))), alpha = unname(fit$geese$alpha), phi = unname(fit$geese$gamma))
}
out <- list(origin = paste(R.version.string, paste(c("geepack", "lme4", "nlme"), sapply(c("geepack", "lme4", "nlme"), function(p) as.character(packageVersion(p))), collapse = ", "), sep = "; "))
for (corstr in c("independence", "exchangeable", "ar1")) for (weighted in c(FALSE, TRUE)) {
  w <- if (weighted) d$w else rep(1, nrow(d))
  name <- paste0(corstr, if (weighted) " weighted" else "")
  out$gee[[name]] <- gee(value ~ years * arm, gaussian, corstr, w)
  out$gee_binary[[name]] <- suppressWarnings(gee(ill ~ years * arm, binomial, corstr, w))
}

glmm <- function(points, formula = ill ~ years * arm + (1 | id), data = d) {
  control <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), tolPwrss = 1e-12)
  fit <- glmer(formula, data = data, family = binomial, nAGQ = points, control = control)
  list(coef = unname(fixef(fit)), se = unname(sqrt(diag(vcov(fit)))), sd = unname(attr(VarCorr(fit)$id, "stddev")),
       loglik = as.numeric(logLik(fit)), modes = unname(ranef(fit)$id[1:10, 1]))
}
out$glmm <- list(laplace = glmm(1), agq9 = glmm(9), agq25 = glmm(25))
# lme4's default tolerance stops Laplace 0.023 below its maximum on these; tight, it does not.
seq <- subset(transform(survival::pbcseq, ty = day / 365.25, dpca = as.numeric(trt == 1)), !is.na(hepato))
out$glmm$pbcseq_laplace <- glmm(1, hepato ~ ty + dpca + (1 | id), seq)

control <- lmeControl(msMaxIter = 500, tolerance = 1e-12, msTol = 1e-14, returnObject = TRUE)
fit_lme <- function(data) lme(value ~ years * arm, random = ~ years | id, data = data, method = "REML", control = control)
fit <- fit_lme(d)
V <- function(i) {
  Z <- cbind(1, d$years[d$id == i])
  Z %*% matrix(getVarCov(fit), 2) %*% t(Z) + diag(sigma(fit)^2, nrow(Z))
}
r <- d$value - fitted(fit, level = 0)
white <- unlist(lapply(unique(d$id), function(i) forwardsolve(t(chol(V(i))), r[d$id == i])))
X <- model.matrix(~ years * arm, d)
beta <- fixef(fit)
A <- Reduce(`+`, lapply(unique(d$id), function(i) { own <- d$id == i; t(X[own, , drop = FALSE]) %*% solve(V(i), X[own, , drop = FALSE]) }))
u <- Reduce(`+`, lapply(unique(d$id), function(i) { own <- d$id == i; t(X[own, , drop = FALSE]) %*% solve(V(i), d$value[own]) }))
fixed <- t(sapply(unique(d$id), function(i) {  # the same variances, one patient fewer
  own <- d$id == i
  A_i <- A - t(X[own, , drop = FALSE]) %*% solve(V(i), X[own, , drop = FALSE])
  u_i <- u - t(X[own, , drop = FALSE]) %*% solve(V(i), d$value[own])
  b <- solve(A_i, u_i)
  move <- beta - b
  c(b, t(move) %*% A %*% move / 4, det(A) / det(A_i))
}))
refits <- t(sapply(unique(d$id), function(i) { f <- fit_lme(d[d$id != i, ]); c(fixef(f), sqrt(diag(vcov(f))), sigma(f)) }))
pairs <- do.call(rbind, lapply(unique(d$id), function(i) {
  own <- which(d$id == i)
  if (length(own) < 2) return(NULL)
  v <- V(i)
  at <- t(combn(seq_along(own), 2))
  data.frame(lag = d$years[own][at[, 2]] - d$years[own][at[, 1]], empirical = (r[own][at[, 1]] - r[own][at[, 2]])^2 / 2,
             model = (v[cbind(at[, 1], at[, 1])] + v[cbind(at[, 2], at[, 2])]) / 2 - v[at])
}))
bin <- cut(pairs$lag, c(-0.001, 0.5, 1, 2, 3, 5))
out$diagnostics <- list(
  coef = unname(beta), loglik = as.numeric(logLik(fit)), sigma = sigma(fit), random_cov = matrix(getVarCov(fit), 2),
  marginal = unname(r), conditional = unname(d$value - fitted(fit, level = 1)), pearson = unname(resid(fit, type = "pearson")),
  normalized = unname(resid(fit, type = "normalized")), decorrelated = white,
  effects = unname(as.matrix(ranef(fit))), fixed_beta = unname(fixed[, 1:4]), cook = fixed[, 5], covratio = fixed[, 6],
  refit_beta = unname(refits[, 1:4]), refit_se = unname(refits[, 5:8]), refit_sigma = refits[, 9],
  variogram = list(lag = as.numeric(tapply(pairs$lag, bin, mean)), empirical = as.numeric(tapply(pairs$empirical, bin, mean)),
                   model = as.numeric(tapply(pairs$model, bin, mean)), pairs = as.numeric(table(bin)))
)
nlme_pairs <- Variogram(fit, form = ~ years, resType = "response", collapse = "none")
out$diagnostics$nlme_variogram <- list(lag = nlme_pairs$dist, value = nlme_pairs$variog)  # of conditional residuals
write(toJSON(out, digits = 15, auto_unbox = TRUE, matrix = "rowmajor"), file.path(folder, "longitudinal_checks.json"))
