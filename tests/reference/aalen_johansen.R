# Writes aalen_johansen.json: figures of R survival, etm and cmprsk on invented data, for tests/models/survival/states and
# tests/models/survival/competing.
#   Rscript tests/reference/aalen_johansen.R tests/reference
# aalen_johansen.csv: 90 patients in four states, three of which are left and entered again; whole days with ties nearly
#   everywhere, late entry, fractional weights, five centres. aalen_johansen_risks.csv: 120 patients with three competing
#   events, ties, late entry and weights. Both are drawn below.
suppressMessages({library(survival); library(etm); library(cmprsk)})
folder <- commandArgs(trailingOnly = TRUE)[1]
num <- function(x) paste0("[", paste(ifelse(is.finite(x), formatC(x, digits = 17, format = "g"), "null"), collapse = ", "), "]")
obj <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), unlist(l)), collapse = ",\n "), "}")
types <- c("log", "log-log", "plain", "arcsin")
parts <- list(origin = sprintf('"%s, survival %s, etm %s, cmprsk %s"', R.version.string, packageVersion("survival"),
                               packageVersion("etm"), packageVersion("cmprsk")))

set.seed(20261124)
rows <- list()
for (i in 1:90) {
  t <- sample(c(0, 0, 0, 1:8), 1); state <- sample(c("a", "b", "c"), 1, prob = c(0.6, 0.3, 0.1))
  w <- sample(c(0.5, 0.75, 1, 1.5, 2.25), 1); centre <- sample(1:5, 1); arm <- sample(c("x", "y"), 1)
  for (k in 1:6) {
    stop <- t + sample(1:5, 1)
    to <- sample(c("censored", setdiff(c("a", "b", "c", "d"), state)), 1, prob = c(0.15, 0.35, 0.3, 0.2))
    if (k == 6) to <- "censored"
    rows[[length(rows) + 1]] <- data.frame(id = i, centre, arm, entry = t, exit = stop, from = state, to, w)
    if (to %in% c("censored", "d")) break
    t <- stop; state <- to
  }
}
d <- do.call(rbind, rows)
write.csv(d, file.path(folder, "aalen_johansen.csv"), row.names = FALSE, quote = FALSE)
states <- c("a", "b", "c", "d")
d$to <- factor(d$to, c("censored", states))
times <- c(1, 2, 4, 6, 9, 12, 15)

read <- function(fit, times) {  # columns of a matrix are states, in the order of `states`, event-free first
  stopifnot(min(times) >= min(fit$time))
  limits <- lapply(unclass(fit)[c("lower", "upper")], matrix, nrow = length(fit$time))  # the scale arcsin loses its dimensions
  fit$lower <- limits$lower; fit$upper <- limits$upper
  s <- summary(fit, times = times, extend = FALSE)
  k <- order(match(fit$states, c("(s0)", states)))
  list(times = num(s$time), n_risk = num(s$n.risk[, k]), pstate = num(s$pstate[, k]), se = num(s$std.err[, k]),
       lower = num(s$lower[, k]), upper = num(s$upper[, k]))
}
multi <- function(data, weight = rep(1, nrow(data)), ...) {
  data$weight <- weight
  survfit(Surv(entry, exit, to) ~ 1, data, id = id, istate = from, weights = weight, ...)
}
for (type in types) {
  parts[[paste0("all_", type)]] <- obj(read(multi(d, conf.type = type), times))
  parts[[paste0("weighted_", type)]] <- obj(read(multi(d, d$w, conf.type = type), times))
}
for (arm in c("x", "y")) parts[[paste0("arm_", arm)]] <- obj(read(multi(d[d$arm == arm, ]), times))
whole <- multi(d, influence = TRUE)
table <- summary(whole, rmean = 14)$table
parts$start_estimated <- obj(c(read(whole, times), list(mean = num(table[states, "rmean"]), mean_se = num(table[states, "se(rmean)"]))))
weighted <- multi(d, d$w, influence = TRUE)
one <- d[!duplicated(d$id), ]
stopifnot(all(dimnames(weighted$influence.pstate)[[1]] == one$id))
by_centre <- function(fit, w) {  # influence of a centre: the sum over its patients
  slot <- 1 + findInterval(times, fit$time)
  num(sapply(match(states, fit$states), function(k) sapply(slot, function(s) sqrt(sum(rowsum(w * fit$influence.pstate[, s, k], one$centre)^2)))))
}
parts$by_centre <- by_centre(whole, 1); parts$by_centre_weighted <- by_centre(weighted, one$w)
later <- survfit(Surv(entry, exit, to) ~ 1, d, id = id, istate = from, start.time = 4.5, p0 = c(0.5, 0.3, 0.2, 0))
stopifnot(all(later$states == states))
parts$from_day <- obj(read(later, c(5, 6, 9, 12, 15)))
parts$cumhaz <- obj(lapply(setNames(nm = colnames(whole$cumhaz)), function(n) num(whole$cumhaz[findInterval(times, whole$time), n])))

etm_data <- data.frame(id = d$id, from = match(d$from, states), to = ifelse(d$to == "censored", "cens", match(d$to, states)), entry = d$entry, exit = d$exit)
possible <- matrix(FALSE, 4, 4); possible[1:3, ] <- TRUE; diag(possible) <- FALSE
for (s in c(0, 4)) {
  fit <- etm(etm_data, as.character(1:4), possible, "cens", s)
  slot <- findInterval(times[times > s], fit$time)
  for (g in 1:3) parts[[paste0("etm_", s, "_", states[g])]] <- obj(list(
    times = num(times[times > s]), p = num(sapply(1:4, function(h) fit$est[g, h, slot])),
    se = num(sapply(1:4, function(h) sqrt(trcov(fit, paste(g, h))[slot])))))
}

set.seed(20261125)
n <- 120
r <- data.frame(id = 1:n, arm = sample(c("x", "y"), n, TRUE), time = sample(1:20, n, TRUE))
r$cause <- sample(c("censored", "p", "q", "r"), n, TRUE, prob = c(0.25, 0.4, 0.25, 0.1))
r$start <- pmax(0, pmin(r$time - 1, sample(c(0, 0, 1:6), n, TRUE)))
r$w <- sample(c(0.5, 1, 1.25, 3), n, TRUE)
write.csv(r, file.path(folder, "aalen_johansen_risks.csv"), row.names = FALSE, quote = FALSE)
r$cause <- factor(r$cause, c("censored", "p", "q", "r"))
states <- c("p", "q", "r")
times <- c(1, 3, 7, 12, 18)
for (type in types) {
  parts[[paste0("risks_", type)]] <- obj(read(survfit(Surv(time, cause) ~ 1, r, id = id, conf.type = type), times))
  parts[[paste0("risks_late_weighted_", type)]] <- obj(read(survfit(Surv(start, time, cause) ~ 1, r, id = id, weights = w, conf.type = type), times))
}
for (arm in c("x", "y")) {
  fit <- survfit(Surv(start, time, cause) ~ 1, r[r$arm == arm, ], id = id, influence = TRUE)
  table <- summary(fit, rmean = 15)$table
  parts[[paste0("risks_arm_", arm)]] <- obj(c(read(fit, times), list(mean = num(table[, "rmean"]), mean_se = num(table[, "se(rmean)"]))))
}
gray <- cuminc(r$time, r$cause, r$arm, cencode = "censored")
at <- timepoints(gray, times)
curves <- c(outer(c("x", "y"), states, paste))
parts$cuminc <- obj(c(list(times = num(times)), setNames(lapply(curves, function(n) obj(list(est = num(at$est[n, ]), se = num(sqrt(at$var[n, ]))))), curves)))
writeLines(obj(parts), file.path(folder, "aalen_johansen.json"))
