-- Executed functions that the catalog of their revision does not hold: of generated code, or of another source tree.
SELECT p.symbol AS symbol, p.module AS module, p.qualname AS qualname, p.line AS line, p.profiles AS profiles,
    p.first_seen AS first_seen, p.last_seen AS last_seen, p.exemplar_trace_id AS exemplar_trace_id
FROM symbol_profiles AS p
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({module:String} = '' OR module = {module:String})
    AND (module, qualname, line) GLOBAL NOT IN (
        SELECT module, qualname, line FROM symbol_catalog
        WHERE namespace = {namespace:String} AND revision = {revision:String}
    )
    AND {revision:String} GLOBAL IN (SELECT revision FROM symbol_catalog WHERE namespace = {namespace:String})
ORDER BY module, line, qualname;
