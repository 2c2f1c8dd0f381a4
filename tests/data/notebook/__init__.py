"""Notes with attachments behind a login: forms with CSRF tokens, a JSON API, redirects after POST, a job."""
