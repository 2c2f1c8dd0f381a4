from store_front import create_app

app = create_app()
