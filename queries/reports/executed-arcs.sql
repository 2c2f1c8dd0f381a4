-- Profile × file: the arcs that each profile took, from line to line, where branches were recorded.
SELECT profile, file, arraySort(arrayMap(arc -> [arc.1, arc.2], groupUniqArrayArray(arcs))) AS arcs
FROM counted_arcs
WHERE namespace = {namespace:String} AND revision = {revision:String}
GROUP BY profile, file
ORDER BY profile, file;
