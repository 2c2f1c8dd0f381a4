-- Routes and jobs that no profile reached: of the URL maps that services reported, and the functions that they queue.
--
-- Those of the application come first; what has no symbol is a library's, as Flask's static files are.
-- table: service > kind > entry_point, endpoint, symbol
SELECT service, kind, entry_point, symbol, method, endpoint
FROM entry_point_gaps
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY service, kind, symbol = '', if(kind = 'request' AND method != '', substring(entry_point, position(entry_point, ' ') + 1), entry_point), entry_point;
