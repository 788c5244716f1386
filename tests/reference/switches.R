# Writes switches_values.csv, switches_moments.csv and switches.json: figures of R for before/after and informative visits.
#   Rscript tests/reference/switches.R tests/reference      (needs lme4, lmerTest, survival and geepack)
# 70 invented patients with log-normal values on irregular days, flares, and a drug that some begin at one of them; values
# outside planned visits come the oftener, the higher the last one was. Matching is done here by plain loops.
suppressMessages({library(lme4); library(lmerTest); library(survival); library(geepack)})
folder <- commandArgs(trailingOnly = TRUE)[1]
num <- function(x) paste0("[", paste(ifelse(is.finite(x), formatC(x, digits = 17, format = "g"), "null"), collapse = ", "), "]")
obj <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), unlist(l)), collapse = ",\n "), "}")

set.seed(20261124)
n <- 70
rows <- list(); moments <- list()
for (i in seq_len(n)) {
  level <- rnorm(1, 0.6, 0.5); arm <- i %% 2
  end <- sample(900:1300, 1)
  planned <- seq(0, end, by = 60) + sample(-7:7, length(seq(0, end, by = 60)), TRUE); planned <- pmax(planned, 0)
  drug <- Inf; flares <- sort(sample(250:(end - 200), sample(1:2, 1)))
  if (length(flares) == 2 && diff(flares) < 150) flares <- flares[1]
  treated <- i %% 4 == 0
  if (treated) drug <- tail(flares, 1)
  day <- c(); value <- c(); out <- c(); last <- 0; t <- 0
  queue <- sort(unique(planned))
  while (t <= end) {
    nextp <- queue[queue > t | (t == 0 & queue == 0)]; nextp <- if (length(nextp)) nextp[1] else Inf
    extra <- t + ceiling(rexp(1, exp(-5.2 + 0.8 * last)))
    if (length(day) == 0) extra <- Inf
    t2 <- min(nextp, extra); if (!is.finite(t2) || t2 > end) break
    up <- sum(1.2 * exp(-pmax(t2 - flares, 0) / 90) * (t2 >= flares - 20))
    v <- level + 0.3 * arm + up - 0.7 * (t2 > drug) + rnorm(1, 0, 0.35)
    day <- c(day, t2); value <- c(value, round(exp(v), 2)); out <- c(out, as.integer(t2 < nextp)); last <- v; t <- t2 + (t2 == 0) * 0.5
  }
  steroid <- round(0.1 + 0.4 * sapply(day, function(d) any(d > flares & d < flares + 120)) * runif(length(day)), 3)
  rows[[i]] <- data.frame(id = i, day = day, value = pmax(value, 0.01), steroid = steroid, unscheduled = out, arm = letters[1 + arm], end = end)
  for (f in flares) moments[[length(moments) + 1]] <-
    data.frame(id = i, day = f, switched = as.integer(f == drug), peak = round(level + 1.2 + rnorm(1, 0, 0.3), 3), age = round(runif(1, 4, 16), 2))
}
d <- do.call(rbind, rows); m <- do.call(rbind, moments)
d <- d[!duplicated(d[c("id", "day")]), ]
m$age[5] <- NA                                     # a covariate that is not known
write.csv(d, file.path(folder, "switches_values.csv"), row.names = FALSE, quote = FALSE)
write.csv(m, file.path(folder, "switches_moments.csv"), row.names = FALSE, quote = FALSE, na = "")

# Matching: rounds of the nearest pair, at most 0.75 standard deviations (root mean square), each patient's series once.
full <- m[complete.cases(m), ]
z <- scale(as.matrix(full[c("peak", "age")]))
real <- which(full$switched == 1); pseudo <- which(full$switched == 0)
D <- outer(real, pseudo, Vectorize(function(a, b) sqrt(mean((z[a, ] - z[b, ])^2))))
pairs <- matrix(0, 0, 2); used <- c()
for (round in 1:3) {
  waiting <- seq_along(real)
  repeat {
    best <- Inf
    for (a in waiting) for (b in seq_along(pseudo))
      if (D[a, b] <= 0.75 && full$id[real[a]] != full$id[pseudo[b]] && !(full$id[pseudo[b]] %in% used) && D[a, b] < best) {
        best <- D[a, b]; pick <- c(a, b)
      }
    if (!is.finite(best)) break
    pairs <- rbind(pairs, pick); used <- c(used, full$id[pseudo[pick[2]]]); waiting <- setdiff(waiting, pick[1])
  }
}
sets <- sort(unique(pairs[, 1]))
spread <- function(x) sqrt((var(x[full$switched == 1]) + var(x[full$switched == 0])) / 2)
smd <- function(a, b) sapply(c("peak", "age"), function(v) (mean(full[[v]][a]) - mean(full[[v]][b])) / spread(full[[v]]))
result <- list(
  pairs_switch = num(full$id[real[pairs[order(pairs[, 1], D[pairs]), 1]]]),
  pairs_pseudo = num(full$id[pseudo[pairs[order(pairs[, 1], D[pairs]), 2]]]),
  pairs_day = num(full$day[pseudo[pairs[order(pairs[, 1], D[pairs]), 2]]]),
  pairs_distance = num(sort(D[pairs])),
  smd_before = num(smd(real, pseudo)), smd_after = num(smd(real[sets], pseudo[pairs[, 2]])))

# Series around moments; a pseudo-switch's ends at the patient's own switch.
drug <- setNames(m$day[m$switched == 1], m$id[m$switched == 1])
series <- function(id, moment, kind, set) {
  own <- d[d$id == id, ]; own$rel <- own$day - moment
  own <- own[own$rel >= -365 & own$rel <= 365, ]
  if (kind == "pseudo" && as.character(id) %in% names(drug)) own <- own[own$day <= drug[as.character(id)], ]
  if (!nrow(own)) return(NULL)
  cbind(own, kind = kind, set = set, series = paste(kind, id, moment), after = as.numeric(own$rel > 0))
}
both <- function(x) x[ave(x$after, x$series, FUN = function(a) length(unique(a))) == 2, ]
alone <- do.call(rbind, lapply(which(m$switched == 1), function(k) series(m$id[k], m$day[k], "switch", k)))
matched <- rbind(
  do.call(rbind, lapply(sets, function(a) series(full$id[real[a]], full$day[real[a]], "switch", a))),
  do.call(rbind, lapply(seq_len(nrow(pairs)), function(k) series(full$id[pseudo[pairs[k, 2]]], full$day[pseudo[pairs[k, 2]]], "pseudo", pairs[k, 1]))))
cut <- function(x) x[x$rel < -28 | x$rel > 0, ]
keep <- both(cut(matched))
keep <- keep[ave(as.numeric(factor(keep$kind)), keep$set, FUN = function(a) length(unique(a))) == 2, ]
fit <- function(formula, x) suppressMessages(lmer(formula, x, REML = TRUE,
  control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-10, maxfun = 1e5))))
line <- function(f, term) {
  s <- coef(summary(f, ddf = "Satterthwaite"))[term, ]
  num(c(s["Estimate"], s["Std. Error"], s["df"], nrow(model.frame(f))))
}
keep$kind <- factor(keep$kind, levels = c("pseudo", "switch"))
keep$stretch <- factor(ifelse(keep$rel > 0, ceiling(keep$rel / 91), pmin(floor(keep$rel / 91), -1)))
result$naive <- line(fit(log(value) ~ after + (1 + after | series), both(alone)), "after")
result$without_window <- line(fit(log(value) ~ after + (1 + after | series), both(cut(alone))), "after")
result$difference <- line(fit(log(value) ~ kind * after + stretch + (1 + after | series), keep), "kindswitch:after")
result$adjusted <- line(fit(log(value) ~ kind * after + stretch + steroid + (1 + after | series), keep), "kindswitch:after")

# Visits outside the plan: intensity given the last value and the arm, weights, and the mean that follows.
d <- d[order(d$id, d$day), ]; d$y <- log(d$value)
d$last <- ave(d$y, d$id, FUN = function(x) c(NA, head(x, -1)))
d$entry <- ave(d$day, d$id, FUN = function(x) c(NA, head(x, -1)))
spells <- d[!is.na(d$entry), c("id", "entry", "day", "last", "arm", "unscheduled")]
tail_rows <- do.call(rbind, lapply(split(d, d$id), function(x) { x <- x[nrow(x), ]; data.frame(id = x$id, entry = x$day, day = x$end, last = x$y, arm = x$arm, unscheduled = 0) }))
spells <- rbind(spells, tail_rows[tail_rows$day > tail_rows$entry, ])
cox <- coxph(Surv(entry, day, unscheduled) ~ last + arm, spells, cluster = id, ties = "efron", control = coxph.control(eps = 1e-11, toler.chol = 1e-13, iter.max = 50))
top <- coxph(Surv(entry, day, unscheduled) ~ arm, spells, cluster = id, ties = "efron", control = coxph.control(eps = 1e-11, toler.chol = 1e-13, iter.max = 50))
d$w <- 1
k <- which(d$unscheduled == 1)
d$w[k] <- exp(coef(top) * (d$arm[k] == "b") - coef(cox)["last"] * d$last[k] - coef(cox)["armb"] * (d$arm[k] == "b"))
d$w[k] <- d$w[k] / mean(d$w[k])
d$years <- d$day / 365.25
mean_of <- function(x, w) { x$w_ <- w; g <- geeglm(y ~ arm * years, id = id, data = x, weights = w_, corstr = "independence")
  s <- coef(summary(g)); num(c(s$Estimate, s$Std.err)) }
result$intensity <- num(c(coef(cox), sqrt(diag(vcov(cox)))))
result$all_values <- mean_of(d, rep(1, nrow(d)))
planned <- d[d$unscheduled == 0, ]
result$planned <- mean_of(planned, rep(1, nrow(planned)))
result$weighted <- mean_of(d, d$w)
result$weights <- num(c(max(d$w), sum(d$w)^2 / sum(d$w^2), length(k)))
writeLines(obj(result), file.path(folder, "switches.json"))
