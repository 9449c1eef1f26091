from store.rpc import Rpc


async def test_function_returns_decoded_json(rpc: Rpc) -> None:
    assert (await rpc.call("get_schema_version"))["version"] >= 1
