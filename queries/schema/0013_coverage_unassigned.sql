-- Spans that came without a run id, as they were read. Each belongs to the run of its trace, which depends on spans and
-- windows that may come later: `store/folding.py` decides, and inserts them into coverage_intake under their run. They
-- stay for some days after that, so that what comes late can still change it.
CREATE TABLE IF NOT EXISTS coverage_unassigned AS coverage_intake ENGINE = ReplacingMergeTree
PRIMARY KEY (profile, trace, span)
ORDER BY (profile, trace, span, started, duration, role, declared_functions, declared_lines);
