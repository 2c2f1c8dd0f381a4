-- Pairs of profiles, those that execute the most in common first.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
-- {profile:String} = ''  all profiles, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT profile, other, functions, other_functions, shared, jaccard, is_subset
FROM profile_overlap
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
    AND ({profile:String} = '' OR profile = {profile:String})
ORDER BY jaccard DESC, profile, other;
