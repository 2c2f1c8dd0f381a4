-- Profiles with the functions that no other profile reaches, those with the fewest first.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
-- {services:String} = ''  names with commas between them; empty: all services
SELECT profile, functions, unique_functions, symbols
FROM profile_unique
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY unique_functions, profile;
