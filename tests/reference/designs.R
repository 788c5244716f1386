# Writes designs.csv and designs.json: figures of R for groups known later.
#   Rscript tests/reference/designs.R tests/reference      (needs survival)
# designs.csv: 160 invented patients, days with ties, a third seen late; 90 of them come to be in a group on a known day.
suppressMessages(library(survival))
folder <- commandArgs(trailingOnly = TRUE)[1]
num <- function(x) paste0("[", paste(ifelse(is.finite(x), formatC(x, digits = 17, format = "g"), "null"), collapse = ", "), "]")
obj <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), unlist(l)), collapse = ",\n "), "}")
cox <- function(f) {
  c <- list(coef = num(coef(f)), se = num(sqrt(diag(if (is.null(f$naive.var)) f$var else f$naive.var))), loglik = num(f$loglik),
            score = num(f$score))
  if (!is.null(f$naive.var)) c$robust_se <- num(sqrt(diag(f$var)))
  obj(c)
}

set.seed(20261124)
n <- 160
d <- data.frame(id = 1:n, entry = ifelse(runif(n) < 0.35, sample(0:60, n, TRUE), 0), x = round(rnorm(n), 2))
d$exit <- d$entry + sample(5:200, n, TRUE); d$what <- sample(0:2, n, TRUE, c(0.3, 0.5, 0.2))
d$known <- sample(c(0:90, rep(NA, 70)), n, TRUE)
write.csv(d, file.path(folder, "designs.csv"), row.names = FALSE, quote = FALSE, na = "")

# Status changing with time: the day of a change belongs to the status before.
spells <- do.call(rbind, lapply(seq_len(n), function(i) {
  r <- d[i, ]; k <- r$known
  if (is.na(k) || k >= r$exit) return(data.frame(r, start = r$entry, stop = r$exit, end = r$what, group = 0))
  if (k <= r$entry) return(data.frame(r, start = r$entry, stop = r$exit, end = r$what, group = 1))
  rbind(data.frame(r, start = r$entry, stop = k, end = 0, group = 0), data.frame(r, start = k, stop = r$exit, end = r$what, group = 1))
}))
parts <- list(origin = sprintf('"%s, survival %s"', R.version.string, packageVersion("survival")))
at <- c(1, 10, 25, 40, 60, 80, 100, 150, 200)
for (from in c(0, 30)) for (g in 0:1) {
  own <- spells[spells$group == g & spells$stop > from, ]; own$start <- pmax(own$start, from)
  f <- survfit(Surv(start, stop, end > 0) ~ 1, own, conf.type = "log-log", id = id)
  s <- summary(f, times = at[at > from], extend = TRUE)
  parts[[sprintf("simon_makuch_%d_%d", from, g)]] <- obj(list(time = num(s$time), surv = num(s$surv), se = num(s$std.err),
    lower = num(s$lower), upper = num(s$upper), cumhaz = num(s$cumhaz),
    n_risk = num(sapply(s$time, function(t) sum(own$start < t & own$stop >= t)))))
}
test <- tryCatch(survdiff(Surv(start, stop, end > 0) ~ group, spells), error = function(e) NULL)
if (!is.null(test)) parts$mantel_byar <- obj(list(observed = num(test$obs), expected = num(test$exp), var = num(test$var), chisq = num(test$chisq)))
# The same from its definition, time by time: hypergeometric mean and variance in each risk set.
u <- sort(unique(spells$stop[spells$end > 0])); O <- E <- V <- 0
for (t in u) {
  r <- spells$start < t & spells$stop >= t; ev <- r & spells$stop == t & spells$end > 0
  y <- sum(r); y1 <- sum(r & spells$group == 1); k <- sum(ev)
  O <- O + sum(ev & spells$group == 1); E <- E + k * y1 / y; if (y > 1) V <- V + k * (y1 / y) * (1 - y1 / y) * (y - k) / (y - 1)
}
parts$mantel_byar_by_definition <- num(c(O, E, V, (O - E)^2 / V))
parts$time_varying <- cox(coxph(Surv(start, stop, end > 0) ~ group + x, spells))
parts$time_varying_event_1 <- cox(coxph(Surv(start, stop, end == 1) ~ group, spells))

# Landmarks: followed beyond the day and seen by then, or with a group known by then; time from the landmark.
at_landmark <- function(day) {
  r <- d[d$exit > day, ]
  r$group <- as.numeric(!is.na(r$known) & r$known <= day)
  data.frame(r, landmark = day, start = pmax(r$entry, day) - day, stop = r$exit - day)
}
days <- c(20, 50, 80)
stacked <- do.call(rbind, lapply(days, at_landmark))
stacked$years <- (stacked$landmark - days[1]) / 365.25
parts$super_constant <- cox(coxph(Surv(start, stop, what > 0) ~ group + x + strata(landmark), stacked, cluster = id))
parts$super_linear <- cox(coxph(Surv(start, stop, what > 0) ~ group + group:years + strata(landmark), stacked, cluster = id))
lm <- at_landmark(50)
parts$landmark_event_1 <- cox(coxph(Surv(start, stop, what == 1) ~ group, lm))
for (g in 0:1) {
  own <- lm[lm$group == g, ]
  f <- survfit(Surv(start, stop, factor(what, 0:2)) ~ 1, own, id = id)
  s <- summary(f, times = c(40, 80, 100), extend = TRUE)
  m <- summary(f, rmean = 80)$table
  parts[[sprintf("landmark_incidence_%d", g)]] <- obj(list(time = num(s$time), risk = num(s$pstate[, 2]), se = num(s$std.err[, 2]),
    time_lost = num(m[2, "rmean"]), time_lost_se = num(m[2, grep("se", colnames(m))])))
}

# Recurrent events with status changing with time, and from a landmark: recurrent_events.csv, known on day 40 x id.
r <- read.csv(file.path(folder, "recurrent_events.csv")); r$known <- 40 * r$id
cut_at <- function(row) {
  k <- row$known
  if (k >= row$stop) return(data.frame(row, from = row$start, to = row$stop, end = row$what, group = 0))
  if (k <= row$start) return(data.frame(row, from = row$start, to = row$stop, end = row$what, group = 1))
  rbind(data.frame(row, from = row$start, to = k, end = 0, group = 0), data.frame(row, from = k, to = row$stop, end = row$what, group = 1))
}
split <- do.call(rbind, lapply(seq_len(nrow(r)), function(i) cut_at(r[i, ])))
parts$recurrent_time_varying <- cox(coxph(Surv(from, to, end == 1) ~ group, split, cluster = id))
late <- r[r$stop > 1000, ]; late$from <- pmax(late$start, 1000) - 1000; late$to <- late$stop - 1000; late$group <- as.numeric(late$known <= 1000)
parts$recurrent_landmark <- cox(coxph(Surv(from, to, what == 1) ~ group, late, cluster = id))
writeLines(obj(parts), file.path(folder, "designs.json"))
