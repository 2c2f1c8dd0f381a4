-- Profiles recorded with branches, and whether all of their lines were: what ran elsewhere may have gone ways unseen.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
-- {services:String} = ''  names with a comma between them; all services, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT profile, countIf(line_count > 0 AND NOT branch) = 0 AS whole
FROM coverage_spans
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
    AND ({services:String} = '' OR has(splitByChar(',', {services:String}), toString(service)))
    AND (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs)
GROUP BY profile
HAVING countIf(branch) > 0
ORDER BY profile;
