-- Functions that profiles execute at one of two revisions only.
--
-- {base:String}  the revision to compare with
SELECT change, module, qualname, line, profiles, first_seen, last_seen, exemplar_trace_id
FROM revision_diff
WHERE namespace = {namespace:String} AND base = {base:String} AND revision = {revision:String}
ORDER BY change, module, qualname;
