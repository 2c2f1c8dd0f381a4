from store_front.web import create_app
