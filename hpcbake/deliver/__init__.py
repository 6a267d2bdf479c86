"""BuiltImage and Site to Deployment: one verified SIF per digest in the store of the site."""
