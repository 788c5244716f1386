# R's times and answers on the files of bench_longitudinal.py, data in memory: name, tab, number on every line.
#   Rscript tools/bench_longitudinal.R <folder of the files> <repetitions>
folder <- commandArgs(TRUE)[1]; times <- as.integer(commandArgs(TRUE)[2])
has <- function(package) suppressPackageStartupMessages(require(package, character.only = TRUE, quietly = TRUE))
read <- function(name) read.csv(gzfile(file.path(folder, paste0(name, ".csv.gz"))))
say <- function(name, values) cat(sprintf("%s\t%.15g\n", name, values), sep = "")
tell <- function(task, expr, n = times) {
  call <- substitute(expr); env <- parent.frame(); kept <- NULL
  wall <- sapply(seq_len(n), function(i) { gc(); system.time(kept <<- eval(call, env))[["elapsed"]] })
  say(task, median(wall)); invisible(kept)
}
answer <- function(model, loglik, estimate, vcov) {
  say(paste(model, "loglik"), loglik)
  say(paste(model, "estimate", seq_along(estimate)), estimate)
  say(paste(model, "std_error", seq_along(estimate)), sqrt(diag(vcov)))
}
d <- read("lmm_100k")
if (has("lme4")) {
  fit <- tell("lmer", lmer(y ~ t * arm + (t | id), data = d))
  answer("lmer", as.numeric(logLik(fit)), fixef(fit), as.matrix(vcov(fit)))
}
d <- read("mmrm_1000x8"); d$time <- d$visit
for (column in c("id", "visit", "arm")) d[[column]] <- factor(d[[column]])
if (has("mmrm")) {
  fixed <- "y ~ base + arm * visit"
  model <- function(structure, by = "visit") as.formula(sprintf("%s + %s(%s | id)", fixed, structure, by))
  fit <- tell("mmrm us satterthwaite", mmrm(model("us"), data = d, method = "Satterthwaite"))
  answer("mmrm", as.numeric(logLik(fit)), coef(fit), vcov(fit))
  tell("mmrm us kenward-roger", mmrm(model("us"), data = d, method = "Kenward-Roger"), 1)
  for (structure in c("toeph", "toep", "ar1h", "ar1", "csh", "cs", "adh", "ad", "sp_exp")) {
    own <- model(structure, if (structure == "sp_exp") "time" else "visit")
    tell(paste("mmrm", structure, "satterthwaite"), mmrm(own, data = d, method = "Satterthwaite"), 1)
  }
}
