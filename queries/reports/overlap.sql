-- Pairs of profiles, those that have the most in common first.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
-- {services:String} = ''  names with commas between them; empty: all services
-- {profile:String} = ''  empty: all profiles
SELECT profile, other, functions, other_functions, shared, jaccard, is_subset
FROM profile_overlap
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({profile:String} = '' OR profile = {profile:String})
ORDER BY jaccard DESC, profile, other;
