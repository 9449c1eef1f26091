# One image, two commands: `labelcrew serve` (the default) and `labelcrew worker`.
FROM node:22-slim AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web/ ./
RUN NEXT_TELEMETRY_DISABLED=1 npm run build

FROM python:3.12-slim
RUN useradd --create-home labelcrew
WORKDIR /app
COPY requirements-setup.lock requirements.lock pyproject.toml ./
RUN pip install --no-cache-dir --require-hashes -r requirements-setup.lock \
 && uv pip install --system --no-cache --require-hashes -r requirements.lock
COPY . .
COPY --from=web /src/web/out web/out
RUN uv pip install --system --no-cache --no-deps -e . && mkdir /data && chown labelcrew /data
USER labelcrew
ENV LABELCREW_DATA_DIR=/data LABELCREW_HOST=0.0.0.0
EXPOSE 8000
CMD ["labelcrew", "serve", "--no-browser"]
