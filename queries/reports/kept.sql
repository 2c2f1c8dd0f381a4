-- How much of all that profiles execute a choice of them still executes.
--
-- {chosen:String} = ''  the choice: names with commas between them
SELECT
    countIf(hasAny(profiles, splitByChar(',', {chosen:String}))) AS kept,
    count() AS functions,
    round(100 * kept / functions, 2) AS percent
FROM symbol_profiles
WHERE namespace = {namespace:String} AND revision = {revision:String}
HAVING functions > 0;
