"""A model of catchments behind a web application, a service, and a pool of workers, which share this package."""
