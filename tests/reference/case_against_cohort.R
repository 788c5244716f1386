# One patient's later values given the earlier ones, from a fit to the others, on invented data: 45 patients with 8 to 13
# values at uneven days; a random intercept and slope, residuals with exponential correlation.
#   Rscript tests/reference/case_against_cohort.R tests/reference
suppressMessages({library(nlme); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
set.seed(20)
n <- 45
rows <- do.call(rbind, lapply(seq_len(n), function(i) {
  day <- sort(sample(0:900, sample(8:13, 1)))
  dose <- round(pmax(0, 0.8 - day / 900 + rnorm(length(day), 0, 0.15)), 2)
  K <- 0.5^2 * exp(-abs(outer(day, day, "-")) / 80)
  y <- 1.2 - 0.3 * day / 365.25 + 0.5 * dose + rnorm(1, 0, 0.5) + rnorm(1, 0, 0.2) * day / 365.25 +
    as.vector(t(chol(K)) %*% rnorm(length(day)))
  data.frame(id = i, day = day, steroid = dose, alt = round(exp(y), 4))
}))
write.csv(rows, file.path(folder, "case_against_cohort.csv"), row.names = FALSE)
rows$years <- rows$day / 365.25
others <- subset(rows, id != 1)
own <- subset(rows, id == 1)
k <- 6
fit <- lme(log(alt) ~ years + steroid, random = ~ 1 + years | id, data = others,
           correlation = corExp(form = ~ years | id),
           control = lmeControl(msMaxIter = 500, maxIter = 500, tolerance = 1e-10, msTol = 1e-12, niterEM = 50))
G <- matrix(as.numeric(getVarCov(fit)), 2, 2)
range <- as.numeric(coef(fit$modelStruct$corStruct, unconstrained = FALSE))
X <- model.matrix(~ years + steroid, own)
Z <- X[, 1:2]
V <- Z %*% G %*% t(Z) + fit$sigma^2 * exp(-abs(outer(own$years, own$years, "-")) / range)
past <- 1:k
pull <- V[-past, past] %*% solve(V[past, past])
b <- fixef(fit)
mean <- as.vector(X[-past, ] %*% b + pull %*% (log(own$alt[past]) - X[past, ] %*% b))
slope <- X[-past, ] - pull %*% X[past, ]
covariance <- V[-past, -past] - pull %*% V[past, -past] + slope %*% vcov(fit) %*% t(slope)
difference <- log(own$alt[-past]) - mean
out <- list(day = own$day[k], mean = mean, sd = sqrt(diag(covariance)),
            distance = sqrt(mahalanobis(difference, rep(0, length(mean)), covariance)),
            loglik = as.numeric(logLik(fit)), range_years = range, origin = paste(R.version.string, paste("nlme", packageVersion("nlme")), sep = "; "))
write(toJSON(out, auto_unbox = TRUE, digits = 12, pretty = TRUE), file.path(folder, "case_against_cohort.json"))
