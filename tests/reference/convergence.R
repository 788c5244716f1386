# Writes convergence.json: REML log-likelihoods of lmer, the best of two optimisers, on the cohorts of convergence.csv,
# which tools/convergence_longitudinal.py invented with a variance of 0.
#   Rscript tests/reference/convergence.R tests/reference
suppressMessages(library(lme4))
folder <- commandArgs(trailingOnly = TRUE)[1]
d <- read.csv(file.path(folder, "convergence.csv"))
quiet <- function(optimizer, control) suppressWarnings(suppressMessages(as.numeric(logLik(lmer(
  y ~ years * arm + (years | id), one, control = lmerControl(optimizer = optimizer, optCtrl = control,
  calc.derivs = FALSE))))))
loglik <- sapply(split(d, d$cohort), function(frame) {
  one <<- frame
  max(quiet("bobyqa", list(rhoend = 1e-10, maxfun = 1e5)), quiet("nloptwrap", list(xtol_abs = 1e-10, ftol_abs = 1e-14, maxeval = 1e5)))
})
writeLines(sprintf('{"origin": "R %s, lme4 %s",\n "loglik": [%s]}', getRversion(), packageVersion("lme4"),
                   paste(formatC(loglik, digits = 17, format = "g"), collapse = ", ")), file.path(folder, "convergence.json"))
