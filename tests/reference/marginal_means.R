# Reference figures for marginal means, contrasts and joint tests after lmer, on invented data: 36 patients of three
# groups, up to five visits at uneven times, a covariate with two values, one with many, a category of three levels;
# group c has no value at the last visit, so one cell is not estimable in the model by visit.
# Run: Rscript tests/reference/marginal_means.R (in the repository). The data are written once, the figures each time.
suppressPackageStartupMessages({ library(lme4); library(lmerTest); library(pbkrtest); library(emmeans); library(jsonlite) })
emm_options(lmer.df = "kenward-roger", msg.interaction = FALSE)
set.seed(20261123)
n <- 36
patients <- data.frame(id = 1:n, group = rep(c("a", "b", "c"), times = c(15, 12, 9)), male = rbinom(n, 1, 0.6),
                       age = round(runif(n, 3, 17), 1), centre = sample(c("north", "south", "west"), n, TRUE, c(.5, .3, .2)))
times <- c(0, 1, 2.5, 4, 7)
rows <- merge(patients, data.frame(visit = paste0("v", 1:5), time = times))
rows <- rows[order(rows$id, rows$time), ]
b0 <- rnorm(n, 0, 1.2); b1 <- rnorm(n, 0, 0.25)
rows$y <- round(5 + c(a = 0, b = 0.8, c = -0.6)[rows$group] + 0.3 * rows$time + 0.15 * rows$time * (rows$group == "b") +
                0.4 * rows$male + 0.05 * rows$age + c(north = 0, south = 0.5, west = -0.3)[rows$centre] +
                b0[rows$id] + b1[rows$id] * rows$time + rnorm(nrow(rows), 0, 0.7), 3)
rows <- rows[!(rows$group == "c" & rows$visit == "v5"), ]
rows <- rows[rows$visit == "v1" | runif(nrow(rows)) > 0.2, ]
write.csv(rows, "tests/reference/marginal_means.csv", row.names = FALSE)
rows <- read.csv("tests/reference/marginal_means.csv")
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-10, maxfun = 1e6), calc.derivs = TRUE)
columns <- function(x, level = TRUE) lapply(as.list(as.data.frame(x)), function(v) if (is.factor(v)) as.character(v) else v)
slope <- lmer(y ~ group * time + male + age + centre + (time | id), rows, control = tight)
visit <- lmer(y ~ group * visit + male + age + centre + (1 | id), rows, control = tight)
at <- c(0, 2, 5)
out <- list()
for (how in c("satterthwaite", "kenward-roger", "asymptotic")) for (w in c("equal", "proportional")) {
  means <- emmeans(slope, ~ group | time, at = list(time = at), weights = w, lmer.df = how)
  out[[paste("slope", how, w)]] <- columns(summary(means))
}
means <- emmeans(slope, ~ group * time, at = list(time = at))
out[["slope over centre"]] <- columns(summary(emmeans(slope, ~ centre, at = list(time = mean(rows$time)))))
against <- contrast(means, "trt.vs.ctrl", by = "time", adjust = "none")
all <- rbind(against)
for (a in c("none", "holm")) out[[paste("difference", a)]] <- columns(summary(all, adjust = a, infer = TRUE))
set.seed(1)
exact <- mvtnorm::GenzBretz(maxpts = 2e5, abseps = 1e-5)
one <- summary(all, adjust = "none")
R <- cov2cor(vcov(all))
out[["difference mvt"]] <- list(
  df = one$df, t.ratio = one$t.ratio,
  p.value = sapply(seq_along(one$t.ratio), function(i) { x <- rep(abs(one$t.ratio[i]), nrow(R))
    1 - mvtnorm::pmvt(-x, x, df = round(one$df[i]), corr = R, algorithm = exact) }),
  p.normal = sapply(one$t.ratio, function(v) { x <- rep(abs(v), nrow(R)); 1 - mvtnorm::pmvnorm(-x, x, corr = R, algorithm = exact) }))
by.visit <- emmeans(visit, ~ group * visit)
out[["visit means"]] <- columns(summary(by.visit))
out[["visit change"]] <- columns(summary(contrast(by.visit, "trt.vs.ctrl", by = "group", adjust = "none"), infer = TRUE))
out[["visit difference of changes"]] <- columns(summary(contrast(by.visit, interaction = c("trt.vs.ctrl", "trt.vs.ctrl"), adjust = "none"), infer = TRUE))
for (how in c("Satterthwaite", "Kenward-Roger")) {
  three <- anova(slope, type = 3, ddf = how)
  out[[paste("anova", how)]] <- c(list(term = rownames(three)), setNames(as.list(as.data.frame(three)[, 3:6]), c("num_df", "den_df", "F", "p")))
}
write_json(out, "tests/reference/marginal_means.json", digits = 15, auto_unbox = TRUE, na = "null", pretty = TRUE)
