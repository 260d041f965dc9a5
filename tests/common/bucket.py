"""A server of S3's kind on the loopback, which checks signatures: prints its address and who may use the bucket
`shared`, as `NAME=VALUE` lines of the usual variables, and runs until its input ends."""

import json
import os
import sys

for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
# So many requests are answered unasked: those below.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"


def client(service):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="unasked",
        aws_secret_access_key="unasked",
        config=Config(s3={"addressing_style": "path"}),
    )


iam = client("iam")
iam.create_user(UserName="ci")
key = iam.create_access_key(UserName="ci")["AccessKey"]
everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
iam.put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=json.dumps(everything))
client("s3").create_bucket(Bucket="shared")
print(f"AWS_ENDPOINT_URL={endpoint}")
print(f"AWS_ACCESS_KEY_ID={key['AccessKeyId']}")
print(f"AWS_SECRET_ACCESS_KEY={key['SecretAccessKey']}")
print("AWS_REGION=us-east-1", flush=True)
sys.stdin.read()
