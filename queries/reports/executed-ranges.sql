-- Profile × file: the lines that each profile executed, as the ranges that arrived: first and last lines, in no order.
SELECT profile, file, r.ranges.1 AS firsts, r.ranges.2 AS lasts
FROM (
    SELECT profile, file, groupUniqArrayArray(l.ranges) AS ranges
    FROM counted_lines AS l
    WHERE namespace = {namespace:String} AND revision = {revision:String}
    GROUP BY profile, file
) AS r
ORDER BY profile, file;
