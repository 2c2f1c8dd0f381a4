-- Profile × file: the lines that each profile executed.
SELECT profile, file, arraySort(groupUniqArrayArray(lines)) AS lines
FROM counted_lines
WHERE namespace = {namespace:String} AND revision = {revision:String}
GROUP BY profile, file
ORDER BY profile, file;
