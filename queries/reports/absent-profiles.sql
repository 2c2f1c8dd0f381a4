-- Profiles that the revision's newest run did not play, though the last one before that shares a profile with it did.
--
-- table: profile, newest_run, last_run
SELECT profile, newest_run, last_run, first_seen, incomplete_detail
FROM absent_profiles
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY profile;
