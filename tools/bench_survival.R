# R's times on the files of bench_survival.py: median seconds per task, data in memory.
#   Rscript tools/bench_survival.R <folder of the files> <repetitions>
suppressPackageStartupMessages(library(survival))
folder <- commandArgs(TRUE)[1]; times <- as.integer(commandArgs(TRUE)[2])
read <- function(name) read.csv(gzfile(file.path(folder, paste0(name, ".csv.gz"))))
tell <- function(task, expr, n = times) {
  call <- substitute(expr); env <- parent.frame()
  wall <- sapply(seq_len(n), function(i) { gc(); system.time(eval(call, env))[["elapsed"]] })
  cat(sprintf("%s\t%.4f\n", task, median(wall)))
}
model <- Surv(start, stop, event) ~ x1 + x2 + x3 + x4 + x5
d <- read("cox_100k"); tell("cox 100k", coxph(model, d))
d <- read("cox_1M"); tell("cox 1M", coxph(model, d)); tell("cox 1M robust", coxph(model, d, cluster = id), 1)
d <- read("km_1M"); tell("km 1M", survfit(Surv(time, event) ~ 1, data = d))
d <- read("ms_10k")
d$istate <- factor(d$istate, levels = c("healthy", "ill"))
d$event <- factor(d$event, levels = 0:2, labels = c("censor", "ill", "death"))
tell("states 10k", survfit(Surv(tstart, tstop, event) ~ 1, data = d, id = id, istate = istate))
d <- read.csv(file.path(folder, "..", "data", "pbc.csv")); d <- d[!is.na(d$protime), ]
death <- Surv(time, status == 2) ~ age + edema + log(bili) + log(protime) + log(albumin)
tell("bootstrap pbc", for (i in 1:1000) coxph(death, d[sample(nrow(d), replace = TRUE), ]), 1)
