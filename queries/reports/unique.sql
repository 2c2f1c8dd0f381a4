-- Profiles with the functions that no other profile reaches, those with the fewest first.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT profile, functions, unique_functions, symbols
FROM profile_unique
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
ORDER BY unique_functions, profile;
