-- Lines of each file with the profiles that execute them: a row for all lines that the same profiles execute.
--
-- table: file > lines, profiles
SELECT file, arraySort(groupArray(line)) AS lines, profiles
FROM (
    SELECT file, line, arraySort(groupUniqArray(toString(profile))) AS profiles
    FROM counted_lines
    ARRAY JOIN lines AS line
    WHERE namespace = {namespace:String} AND revision = {revision:String}
    GROUP BY file, line
)
GROUP BY file, profiles
ORDER BY file, lines[1], profiles;
