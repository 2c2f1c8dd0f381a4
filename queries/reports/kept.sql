-- How much of all that profiles execute a choice of them still executes.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
-- {profiles:String} = ''  the choice: names with a comma between them
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT
    countIf(hasAny(profiles, splitByChar(',', {profiles:String}))) AS kept,
    count() AS functions,
    round(100 * kept / functions, 2) AS percent
FROM symbol_profiles
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
HAVING functions > 0;
