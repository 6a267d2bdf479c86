target "default" {
  tags = ["registry.example.org/team/app:1"]
  cache-from = [
    "type=gah,scope=app",
    "type=inline",
    "type=s3,bucket=builds",
  ]
  cache-to = ["type=registry,mode=max"]
}
