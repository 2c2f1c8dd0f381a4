-- Lines of each file with the profiles that execute them: a row for all lines that the same profiles execute.
--
-- Profiles are counted by number, for millions of names take gigabytes.
-- table: file > lines, profiles
WITH (
    SELECT arraySort(groupUniqArray(toString(profile)))
    FROM coverage_lines
    WHERE namespace = {namespace:String} AND revision = {revision:String}
) AS names
SELECT file, arraySort(groupArray(line)) AS lines, arrayMap(number -> names[number], numbers) AS profiles
FROM (
    SELECT n.file AS file, line, arraySort(groupUniqArray(n.number)) AS numbers
    FROM (
        SELECT file, lines, toUInt32(transform(toString(profile), names, arrayEnumerate(names), 0)) AS number
        FROM counted_lines
        WHERE namespace = {namespace:String} AND revision = {revision:String}
    ) AS n
    ARRAY JOIN lines AS line
    GROUP BY file, line
)
GROUP BY file, numbers
ORDER BY file, lines[1], profiles;
