"""Where each item of TRIPOD+AI is answered, for a report that a journal will ask it of.

References
----------
[collins2024] Collins et al., BMJ 385:e078378 (2024): 27 items. The words here are ours; theirs is the checklist to hand in.
"""

AUTHORS = "the authors"
"""Who answers what a program cannot know."""
ITEMS: tuple[tuple[str, str, str], ...] = (
    ("1", "Title names the study as one of prediction, the population and the outcome", AUTHORS),
    ("2", "Abstract", AUTHORS),
    ("3", "Background, purpose, and what is known of differences between groups of people", AUTHORS),
    ("4", "Objectives: development or evaluation", "the questions of the plan, in the order of this page"),
    ("5", "Where the data come from, and over which dates", "the study page: images with dates"),
    ("6", "Participants: setting, criteria, treatment", "flow on this page; cycles of each subject; criteria: the authors"),
    ("7", "Preparation of data", "protocol and lineage.csv: every number back to its images"),
    ("8", "Outcome: what, how and when, and whether its reader was blinded", "dictionary.csv; the report for readers is blinded"),
    ("9", "Predictors: which, how and when measured", "dictionary.csv; models on this page"),
    ("10", "Sample size", "lutra simulate power, before the study; numbers of lesions, patients and events on this page"),
    ("11", "Missing data", "missing values on this page, with reasons; complete cases unless the plan says otherwise"),
    ("12", "Methods of analysis: types of model, coding, validation, tuning", "plan and equations on this page"),
    ("13", "Imbalance of classes", "nothing is resampled; the numbers of both classes are in table one"),
    ("14", "Fairness", "sex and age in table one; subgroups: the authors"),
    ("15", "What the model gives: probability or class, and how a class follows", "equations; cut-offs only with their spread"),
    ("16", "Differences between development and evaluation", "one data set; split and resampled by patient only"),
    ("17", "Approval by an ethics committee", AUTHORS),
    ("18", "Open science: funding, protocol, registration, data, code", "protocol, plan and versions below; else the authors"),
    ("19", "Involvement of patients and the public", AUTHORS),
    ("20", "Flow of participants, their characteristics and follow-up", "flow and table one on this page"),
    ("21", "Participants and events in each analysis", "each model on this page"),
    ("22", "The full model, so that it can be applied", "equations on this page; analysis.json"),
    ("23", "Performance with intervals, also in subgroups", "areas, calibration and intervals on this page"),
    ("24", "Updating of a model", "none"),
    ("25", "Interpretation", AUTHORS),
    ("26", "Limitations", "findings on this page; the authors"),
    ("27", "Use in practice, and next steps", "research use only"),
)  # fmt: skip
