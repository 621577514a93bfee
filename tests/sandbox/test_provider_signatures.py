"""The published and computed vectors of each provider's signature rule."""

from hashlib import sha256

from deploy.sandbox import provider_signatures as signatures


def test_aliyun_v3():
    headers = {
        "accept": "application/json",
        "host": "dysmsapi.aliyuncs.com",
        "x-acs-action": "SendSms",
        "x-acs-content-sha256": sha256(b"").hexdigest(),
        "x-acs-date": "2026-11-20T02:03:04Z",
        "x-acs-signature-nonce": "nonce-0001",
        "x-acs-version": "2017-05-25",
    }
    query = {
        "OutId": "o-1",
        "PhoneNumbers": "13800000000",
        "SignName": "测试签名",
        "TemplateCode": "SMS_000000001",
        "TemplateParam": '{"code":"1234"}',
    }

    signature = signatures.acs3(
        "testsecret",
        method="POST",
        path="/",
        query=query,
        headers=headers,
        signed_headers=sorted(headers),
        body=b"",
    )

    assert signature == "7f48f7f867e45a5e29caaaea157ba07f5adf83e4bf04e3a17b8a52adf1de5aa2"


def test_tencent_tc3():
    body = (
        b'{"PhoneNumberSet":["+8613800000000"],"SmsSdkAppId":"1400000000",'
        b'"TemplateId":"100","SignName":"test","TemplateParamSet":["1234"]}'
    )

    signature = signatures.tc3(
        "testsecret",
        service="sms",
        headers={"content-type": "application/json", "host": "sms.tencentcloudapi.com"},
        signed_headers=["content-type", "host"],
        timestamp=1795140184,
        body=body,
    )

    assert signature == "a0c93a2e4e2bec0c0662a2fd48c1fae1b7f5a5655ce50c2dae0c4c577acf2098"


def test_esign_request_with_a_body():
    body_md5 = signatures.content_md5(b'{"a":1}')

    signature = signatures.esign_request(
        "dummysecret",
        method="POST",
        accept="*/*",
        body_md5=body_md5,
        content_type="application/json; charset=UTF-8",
        date="",
        path_and_query="/v3/sign-flow/create-by-file",
    )

    assert body_md5 == "u2y1xo30ZSlByvZSo2by2A=="
    assert signature == "eZ5WukhHyAR6T/Uo8yPoHjWLVnI4cwr0FjLik8A8qSM="


def test_esign_request_without_a_body():
    signature = signatures.esign_request(
        "dummysecret",
        method="GET",
        accept="*/*",
        body_md5="",
        content_type="application/json; charset=UTF-8",
        date="",
        path_and_query="/v3/files/abc?a=1&b=2",
    )

    assert signature == "6FfCZ32jUHTQuvIWmUqe1stfZLmTUIwjhC7TwF1jmEA="


def test_esign_callback():
    signature = signatures.esign_callback(
        "dummysecret",
        timestamp="1729489875363",
        query={"any": "pinjie001"},
        body=b'{"action":"SIGN_MISSON_COMPLETE","signFlowId":"x"}',
    )

    assert signature == "3c736f140e22adf842c3c7d71dfd641e4f6c35c2109403b67ebb915d43a47e0c"


def test_jushuitan():
    fields = {
        "app_key": "AK1",
        "access_token": "AT1",
        "timestamp": "1700000000",
        "charset": "utf-8",
        "version": "2",
        "biz": '{"so_ids":["P2024-1"],"page_index":1}',
        "sign": "not part of it",
    }

    assert signatures.jushuitan("SEC1", fields) == "43f81b27e969e3e3cff3fd3870a2fec4"


def test_kuaidi100_push():
    param = '{"status":"polling","lastResult":{"state":"0"}}'

    assert signatures.kuaidi100_push(param, "SALT1") == "7930114A73F7678CE1BE2DAFED752ADA"


def test_kuaidi100_query():
    param = '{"com":"yuantong","num":"YT1"}'

    sign = signatures.kuaidi100_query(param, key="KEY1", customer="CUST1")

    assert sign == "674EEB98055F1AAA16DCCF46D565EDEC"


def test_wechat_push():
    signature = signatures.wechat_push("tok", timestamp="1795140184", nonce="n1")

    assert signature == "0662abf50349bb5caf6be9d0bf10f92711112390"


def test_an_authorization_of_another_algorithm_has_no_parts():
    header = "ACS3-HMAC-SM3 Credential=a,SignedHeaders=b,Signature=c"

    assert signatures.authorization_parts(header, signatures.ACS3) == {}
