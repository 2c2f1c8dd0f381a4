-- Profiles, those that add the least first: what only they reach, and which others each execute all that they do.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT u.profile AS profile, u.functions AS functions, u.unique_functions AS unique_functions, o.others AS contained_in
FROM (
    SELECT profile, functions, unique_functions
    FROM profile_unique
    WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
) AS u
LEFT JOIN (
    SELECT profile, arraySort(groupArray(other)) AS others
    FROM profile_overlap
    WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
        AND is_subset
    GROUP BY profile
) AS o ON o.profile = u.profile
ORDER BY unique_functions, functions, profile;
