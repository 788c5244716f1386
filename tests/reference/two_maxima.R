# Invented courses whose likelihood has two maxima: patients' own lines, or residuals that follow each other (AR(1)).
# Run in this folder: Rscript two_maxima.R
suppressMessages(library(nlme))
frame <- read.csv("two_maxima.csv")
tight <- lmeControl(maxIter = 500, msMaxIter = 500, tolerance = 1e-10, msTol = 1e-12, niterEM = 100)
out <- list(origin = paste0("R nlme ", packageVersion("nlme")))
for (number in unique(frame$set)) {
  fit <- lme(y ~ t, frame[frame$set == number, ], random = ~ t | id, correlation = corAR1(form = ~ 1 | id),
             control = tight)
  out[[paste("set", number)]] <- list(
    estimate = unname(fixef(fit)), std_error = unname(sqrt(diag(vcov(fit)))), loglik = as.numeric(logLik(fit)),
    correlation = unname(coef(fit$modelStruct$corStruct, unconstrained = FALSE)), sd_residual = fit$sigma
  )
}
writeLines(jsonlite::toJSON(out, digits = 15, auto_unbox = TRUE, pretty = TRUE), "two_maxima.json")
