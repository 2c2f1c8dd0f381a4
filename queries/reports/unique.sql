-- Profiles with the functions that no other profile reaches, those with the fewest first.
SELECT profile, functions, unique_functions, symbols
FROM profile_unique
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY unique_functions, profile;
