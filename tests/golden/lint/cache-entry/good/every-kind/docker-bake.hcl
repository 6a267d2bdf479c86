variable "CI" { default = "yes" }
target "default" {
  tags = ["registry.example.org/team/app:1"]
  cache-from = CI != "" ? [
    "registry.example.org/team/app:cache",
    "type=registry,ref=registry.example.org/team/app:1",
    "type=gha,scope=app",
    "type=s3,region=eu-west-1,bucket=builds,prefix=app/",
    "type=azblob,account_url=https://a.blob.core.windows.net,name=app",
    "type=local,src=.cache",
  ] : []
  cache-to = [
    "type=registry,ref=registry.example.org/team/app:cache,mode=max",
    "type=gha,scope=app,mode=max",
    "type=s3,region=eu-west-1,bucket=builds,prefix=app/,mode=max",
    "type=azblob,account_url=https://a.blob.core.windows.net,name=app,mode=max",
    "type=local,dest=.cache",
    "type=inline",
  ]
}
