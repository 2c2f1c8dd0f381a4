-- Pairs of profiles, those that have the most in common first.
SELECT profile, other, functions, other_functions, shared, jaccard, is_subset
FROM profile_overlap
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({profile:String} = '' OR profile = {profile:String})
ORDER BY jaccard DESC, profile, other;
