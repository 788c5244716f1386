# Writes recurrent_events.csv, recurrent_ties.csv and recurrent.json: figures of R for recurrent events.
#   Rscript tests/reference/recurrent.R tests/reference      (needs survival and mets)
# recurrent_events: 70 invented patients, no two things on one day, some seen late, some with a gap in observation; death
# is terminal. recurrent_ties: 40 invented patients in whole months with ties everywhere and case weights.
suppressMessages({library(survival); library(mets)})
folder <- commandArgs(trailingOnly = TRUE)[1]
num <- function(x) paste0("[", paste(ifelse(is.finite(x), formatC(x, digits = 17, format = "g"), "null"), collapse = ", "), "]")
obj <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), unlist(l)), collapse = ",\n "), "}")

invent <- function(n, longest, distinct) {
  pool <- sample(seq_len(longest * if (distinct) 1 else 1))
  take <- function(k) if (distinct) { got <- pool[seq_len(k)]; pool <<- pool[-seq_len(k)]; got } else sample(longest, k, TRUE)
  rows <- list()
  for (i in seq_len(n)) {
    times <- sort(unique(take(2 + rpois(1, 1.5 + (i %% 2)))))
    if (length(times) < 2) next
    from <- if (runif(1) < 0.3) 0 else NA
    if (is.na(from)) { from <- if (runif(1) < 0.4) times[1] else 0; if (from == times[1]) times <- times[-1] }
    k <- length(times)
    start <- c(from, times[-k]); what <- c(rep(1, k - 1), sample(c(0, 2), 1))
    quiet <- k > 2 && runif(1) < 0.4               # an event turned into a mere visit: the spell is split there
    if (quiet) what[1] <- 0
    keep <- rep(TRUE, k); if (k > 3 && runif(1) < 0.4) keep[2] <- FALSE  # a gap in observation
    rows[[i]] <- data.frame(id = i, start = start, stop = times, what = what, x = round(rnorm(k), 2))[keep, ]
  }
  d <- do.call(rbind, rows)
  d$arm <- ifelse(d$id %% 2 == 1, "b", "a"); d$w <- 1 + d$id %% 3
  d <- d[order(d$id, d$start), ]
  d$number <- ave(d$what == 1, d$id, FUN = function(e) cumsum(e) - e) + 1
  rownames(d) <- NULL
  d
}
set.seed(20261123)
events <- invent(70, 3000, TRUE); ties <- invent(40, 14, FALSE)
write.csv(events, file.path(folder, "recurrent_events.csv"), row.names = FALSE, quote = FALSE)
write.csv(ties, file.path(folder, "recurrent_ties.csv"), row.names = FALSE, quote = FALSE)
sets <- list(events = events, ties = ties)
when <- list(events = c(200, 500, 1000, 1500, 2000, 2500, 2900), ties = 1:13)

# Slow and plain: mu(t) with patients' weights, and its derivative by them, by central differences.
mean_by <- function(d, w, at) {
  w <- w[as.character(d$id)]; s <- 1; mu <- 0; out <- numeric(length(at))
  for (u in sort(unique(d$stop))) {
    y <- sum(w[d$start < u & u <= d$stop])
    mu <- mu + s * sum(w[d$stop == u & d$what == 1]) / y
    s <- s * (1 - sum(w[d$stop == u & d$what == 2]) / y)
    out[at >= u] <- mu
  }
  out
}
slopes <- function(d, at, h = 1e-4) {
  w <- tapply(d$w, d$id, mean) * 0 + 1
  sapply(names(w), function(i) { up <- down <- w; up[i] <- 1 + h; down[i] <- 1 - h
    (mean_by(d, up, at) - mean_by(d, down, at)) / (2 * h) })
}
# Ghosh & Lin's log-rank type statistic and its variance, patient by patient, from the formulae of the paper.
ghosh_lin_test <- function(d) {
  u <- sort(unique(d$stop)); arms <- c("a", "b")
  at_risk <- function(rows, t) sum(rows$start < t & t <= rows$stop)
  Y <- sapply(arms, function(a) sapply(u, function(t) at_risk(d[d$arm == a, ], t)))
  K <- Y[, 1] * Y[, 2] / rowSums(Y)
  total <- 0; variance <- 0
  for (j in 1:2) {
    own <- d[d$arm == arms[j], ]
    dN <- sapply(u, function(t) sum(own$stop == t & own$what == 1)); dD <- sapply(u, function(t) sum(own$stop == t & own$what == 2))
    y <- Y[, j]; ok <- y > 0
    S <- 1; before <- numeric(length(u)); for (k in seq_along(u)) { before[k] <- S; if (ok[k]) S <- S * (1 - dD[k] / y[k]) }
    dR <- ifelse(ok, dN / y, 0); dL <- ifelse(ok, dD / y, 0); dmu <- before * dR
    total <- total + c(1, -1)[j] * sum(K * dmu)
    for (i in unique(own$id)) {
      mine <- own[own$id == i, ]; psi <- 0; hit <- 0
      for (k in seq_along(u)) {
        here <- sum(mine$start < u[k] & u[k] <= mine$stop)
        dM <- sum(mine$stop == u[k] & mine$what == 1) - here * dR[k]
        if (ok[k]) psi <- psi + K[k] * (before[k] * dM / y[k] - dmu[k] * hit)
        dMD <- sum(mine$stop == u[k] & mine$what == 2) - here * dL[k]
        if (y[k] > dD[k]) hit <- hit + dMD / (y[k] - dD[k])
      }
      variance <- variance + psi^2
    }
  }
  c(total, sqrt(variance), total^2 / variance)
}

cox <- function(formula, d, ...) {
  f <- coxph(formula, d, cluster = id, ...)
  obj(list(coef = num(coef(f)), se = num(sqrt(diag(f$naive.var))), robust_se = num(sqrt(diag(f$var))), loglik = num(f$loglik)))
}
parts <- list(origin = sprintf('"%s, survival %s, mets %s"', R.version.string, packageVersion("survival"), packageVersion("mets")))
for (name in names(sets)) {
  d <- sets[[name]]; at <- when[[name]]
  f <- summary(survfit(Surv(start, stop, what == 1) ~ 1, d, id = id, robust = TRUE), times = at)
  parts[[paste0(name, "_nelson_aalen")]] <- obj(list(time = num(at), n_risk = num(f$n.risk), mean = num(f$cumhaz), se = num(f$std.chaz)))
  f <- summary(survfit(Surv(start, stop, what == 1) ~ 1, d, id = id, weights = w, robust = TRUE), times = at)
  parts[[paste0(name, "_weighted")]] <- obj(list(time = num(at), mean = num(f$cumhaz), se = num(f$std.chaz)))
  ones <- tapply(d$w, d$id, mean) * 0 + 1
  parts[[paste0(name, "_ghosh_lin")]] <- obj(list(time = num(at), mean = num(mean_by(d, ones, at)), se = num(sqrt(rowSums(slopes(d, at)^2)))))
  parts[[paste0(name, "_test")]] <- num(ghosh_lin_test(d))
  parts[[paste0(name, "_ag_efron")]] <- cox(Surv(start, stop, what == 1) ~ arm + x, d)
  parts[[paste0(name, "_ag_breslow")]] <- cox(Surv(start, stop, what == 1) ~ arm + x, d, ties = "breslow")
  parts[[paste0(name, "_by_number")]] <- cox(Surv(start, stop, what == 1) ~ arm + x + strata(number), d)
  # Gap time: the clock restarts after an event and after a gap in observation; a mere split goes on.
  fresh <- c(TRUE, d$id[-1] != d$id[-nrow(d)] | d$start[-1] != d$stop[-nrow(d)] | d$what[-nrow(d)] == 1)
  origin <- d$start[fresh][cumsum(fresh)]
  d$from <- d$start - origin; d$until <- d$stop - origin
  parts[[paste0(name, "_gap")]] <- cox(Surv(from, until, what == 1) ~ arm + x, d)
  parts[[paste0(name, "_gap_by_number")]] <- cox(Surv(from, until, what == 1) ~ arm + x + strata(number), d)
}
xr <- phreg(Surv(start, stop, what == 1) ~ +cluster(id), data = events)
dr <- phreg(Surv(start, stop, what == 2) ~ +cluster(id), data = events)
m <- recurrentMarginal(xr, dr)
at <- when$events
where <- findInterval(at, m$times)
parts$events_mets <- obj(list(time = num(at[where > 0]), mean = num(m$mu[where]), se = num(m$se.mu[where])))
writeLines(obj(parts), file.path(folder, "recurrent.json"))
