# Writes transitions.json: a multi-state coxph of R survival on invented data, for tests/models/survival/states.
#   Rscript tests/reference/transitions.R tests/reference
# transitions.csv: 160 patients who relapse and recover, again and again, until death or the end of follow-up; whole days
#   with many ties, late entry, a covariate that changes at each move, weights that are fractions.
suppressMessages(library(survival))
folder <- commandArgs(trailingOnly = TRUE)[1]
num <- function(x) paste0("[", paste(ifelse(is.finite(x), formatC(x, digits = 17, format = "g"), "null"), collapse = ", "), "]")
text <- function(x) paste0("[", paste0('"', x, '"', collapse = ", "), "]")
obj <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), unlist(l)), collapse = ",\n "), "}")

set.seed(20261124)
d <- do.call(rbind, lapply(1:160, function(i) {
  k <- sample(1:4, 1); start <- sample(0:4, 1); state <- sample(c("well", "ill"), 1, prob = c(0.8, 0.2)); arm <- sample(c("a", "b"), 1)
  w <- sample(c(0.5, 1, 1.7), 1); rows <- NULL
  for (j in 1:k) {
    stop <- start + sample(1:8, 1)
    to <- if (j < k) setdiff(c("well", "ill"), state) else sample(c("censored", "dead"), 1)
    rows <- rbind(rows, data.frame(id = i, start, stop, state, to, x = round(rnorm(1), 1), arm, w))
    start <- stop; state <- to
  }
  rows
}))
write.csv(d, file.path(folder, "transitions.csv"), row.names = FALSE, quote = FALSE)
d$to <- factor(d$to, c("censored", "well", "ill", "dead"))
tight <- coxph.control(eps = 1e-11, toler.chol = 1e-13, iter.max = 50)
parts <- list(origin = sprintf('"%s, survival %s"', R.version.string, packageVersion("survival")))
figures <- function(fit) {
  s <- fit$states
  pairs <- do.call(rbind, strsplit(sub(".*_", "", names(coef(fit))), ":"))
  obj(list(term = text(sub("_[0-9:]*$", "", names(coef(fit)))), from = text(s[as.integer(pairs[, 1])]), to = text(s[as.integer(pairs[, 2])]),
           coef = num(coef(fit)), se = num(sqrt(diag(fit$naive.var))), robust_se = num(sqrt(diag(fit$var))), loglik = num(fit$loglik)))
}
model <- Surv(start, stop, to) ~ x + arm
# Efron's ties are the default; to name them in a multi-state model gives Breslow's (survival 3.5-3).
parts$efron <- figures(coxph(model, d, id = id, istate = state, control = tight))
parts$efron_weighted <- figures(coxph(model, d, id = id, istate = state, weights = w, control = tight))
parts$breslow <- figures(coxph(model, d, id = id, istate = state, ties = "breslow", control = tight))
parts$breslow_weighted <- figures(coxph(model, d, id = id, istate = state, ties = "breslow", weights = w, control = tight))
writeLines(obj(parts), file.path(folder, "transitions.json"))
