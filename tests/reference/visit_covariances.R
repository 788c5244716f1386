# Covariances between visits by nlme::gls on invented data: visit_covariances.csv in, visit_covariances.json out.
# Rscript visit_covariances.R
library(nlme)
set.seed(20)
n <- 70; visits <- 5
frame <- expand.grid(visit = 1:visits, id = 1:n)
frame$arm <- frame$id %% 2
level <- rnorm(n, 0, 0.8)
noise <- matrix(rnorm(n * visits), n)
for (v in 2:visits) noise[, v] <- 0.6 * noise[, v - 1] + 0.8 * noise[, v]
frame$day <- round(c(30, 90, 180, 365, 730)[frame$visit] + runif(nrow(frame), -20, 20))
frame$y <- round(2 + 0.3 * frame$arm - 0.2 * frame$visit + level[frame$id] +
                 (0.6 + 0.2 * frame$visit) * noise[cbind(frame$id, frame$visit)], 4)
frame <- frame[runif(nrow(frame)) > 0.2, c("id", "visit", "day", "arm", "y")]
write.csv(frame, "visit_covariances.csv", row.names = FALSE)

frame$v <- factor(frame$visit)
tight <- glsControl(tolerance = 1e-12, msTol = 1e-12, msMaxIter = 500, maxIter = 500, opt = "optim",
                    optimMethod = "BFGS")
tight$returnObject <- FALSE
structures <- list(
  "compound symmetry" = list(corCompSymm(form = ~ visit | id), NULL),
  "heterogeneous compound symmetry" = list(corCompSymm(form = ~ visit | id), varIdent(form = ~ 1 | v)),
  "ar1" = list(corAR1(form = ~ visit | id), NULL),
  "heterogeneous ar1" = list(corAR1(form = ~ visit | id), varIdent(form = ~ 1 | v)),
  "unstructured" = list(corSymm(form = ~ visit | id), varIdent(form = ~ 1 | v)),
  "exponential" = list(corExp(200, form = ~ day | id), NULL)
)
out <- list()
for (name in names(structures)) for (method in c("REML", "ML")) {
  best <- NULL
  for (control in list(tight, glsControl(tolerance = 1e-10, msTol = 1e-10, msMaxIter = 500, maxIter = 500))) {
    fit <- try(gls(y ~ arm * v, frame, correlation = structures[[name]][[1]], weights = structures[[name]][[2]],
                   method = method, control = control), silent = TRUE)
    if (!inherits(fit, "try-error") && (is.null(best) || logLik(fit) > logLik(best))) best <- fit
  }
  out[[paste(name, method)]] <- list(
    estimate = unname(coef(best)), vcov = unname(vcov(best)), loglik = as.numeric(logLik(best)),
    sigma = best$sigma, correlation = unname(coef(best$modelStruct$corStruct, unconstrained = FALSE))
  )
}
writeLines(jsonlite::toJSON(out, digits = 15, auto_unbox = TRUE, matrix = "rowmajor", pretty = TRUE),
           "visit_covariances.json")
